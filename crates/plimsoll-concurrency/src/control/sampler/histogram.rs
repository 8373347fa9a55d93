//! Latencies in buckets, four per octave: precise enough for a deviation and a 99th percentile.

use std::{
    iter,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// The number of buckets: 32 octaves, from 1 microsecond to more than an hour.
pub(crate) const BUCKETS: usize = 4 * 32;
/// The octave of the first bucket: it holds everything below 2^10 nanoseconds.
const FIRST_OCTAVE: u32 = 10;

/// Counters that only increase.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU32; BUCKETS],
    /// Performance: a bit for each bucket that is not empty; a service uses few, and the others are
    /// not read.
    used: [AtomicU64; 2],
}

/// A set of buckets, a bit for each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used(u128);

impl Used {
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the buckets from the lowest to the highest.
    pub(crate) fn buckets(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        iter::from_fn(move || {
            let bucket = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (bucket < BUCKETS).then_some(bucket)
        })
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            used: Default::default(),
        }
    }
}

impl Histogram {
    /// Counts a latency. Returns how many were in its bucket before.
    #[inline]
    pub(crate) fn count(&self, nanos: u64) -> u32 {
        let bucket = bucket(nanos);
        let before = self.buckets[bucket].fetch_add(1, Relaxed);
        if before == 0 {
            self.used[bucket / 64].fetch_or(1 << (bucket % 64), Relaxed);
        }
        before
    }

    pub(crate) fn get(&self, bucket: usize) -> u32 {
        self.buckets[bucket].load(Relaxed)
    }

    pub(crate) fn used(&self) -> Used {
        let [low, high] = [0, 1].map(|half: usize| u128::from(self.used[half].load(Relaxed)));
        Used(high << 64 | low)
    }
}

#[inline]
fn bucket(nanos: u64) -> usize {
    let octave = (nanos | 1 << FIRST_OCTAVE).ilog2();
    let quarter = (nanos >> (octave - 2)) & 3;
    let index = u64::from(octave - FIRST_OCTAVE) * 4 + quarter;
    (index as usize).min(BUCKETS - 1)
}

/// Returns the start of a bucket's octave, in nanoseconds.
fn octave(bucket: usize) -> f64 {
    (1_u64 << (bucket as u32 / 4 + FIRST_OCTAVE)) as f64
}

/// Returns the end of a bucket, in nanoseconds.
fn end(bucket: usize) -> f64 {
    octave(bucket) * (1.25 + 0.25 * (bucket % 4) as f64)
}

/// Returns the middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> f64 {
    end(bucket) - octave(bucket) / 8.0
}

/// Returns the standard deviation of the counted values around their known mean.
pub(crate) fn deviation(counts: &[u32; BUCKETS], used: Used, mean: f64) -> f64 {
    let (mut sum, mut number) = (0.0, 0.0);
    for bucket in used.buckets() {
        let count = f64::from(counts[bucket]);
        sum += count * (middle(bucket) - mean).powi(2);
        number += count;
    }
    if number > 0.0 {
        (sum / number).sqrt()
    } else {
        0.0
    }
}

/// Returns the end of the bucket that contains a quantile, in nanoseconds; 0 without values.
pub(crate) fn quantile(counts: &[f32; BUCKETS], used: Used, quantile: f32) -> f64 {
    let all: f32 = used.buckets().map(|bucket| counts[bucket]).sum();
    let mut below = 0.0;
    for bucket in used.buckets() {
        below += counts[bucket];
        if below > 0.0 && below >= all * quantile {
            return end(bucket);
        }
    }
    0.0
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_a_bucket_that_ends_above_it_by_a_quarter_at_most() {
        for nanos in (0..4000).map(|i| 1024.0 * 1.005f64.powi(i)) {
            let bucket = bucket(nanos as u64);
            if bucket < BUCKETS - 1 {
                assert!(
                    end(bucket) >= nanos.floor() && end(bucket) <= nanos * 1.26,
                    "{nanos}"
                );
            }
        }
        assert_eq!(
            (bucket(0), bucket(1023), bucket(u64::MAX)),
            (0, 3, BUCKETS - 1)
        );
    }

    #[test]
    fn deviation_and_percentile_are_near_the_true_ones() {
        let histogram = Histogram::default();
        assert_eq!(histogram.used().buckets().count(), 0);
        // Uniform from 0 to 10 ms: deviation 2.887 ms, 99th percentile 9.9 ms.
        for micros in 0..10_000 {
            histogram.count(micros * 1000);
        }
        let counts = std::array::from_fn(|bucket| histogram.get(bucket));
        let used = histogram.used();
        let deviation = deviation(&counts, used, 5e6);
        assert!((deviation - 2.887e6).abs() < 0.1e6, "{deviation}");
        let full = (0..BUCKETS).filter(|bucket| counts[*bucket] > 0);
        assert!(used.buckets().eq(full), "{used:?}");
        let recent = counts.map(|count| count as f32);
        let p99 = quantile(&recent, used, 0.99);
        assert!((9.9e6..12.4e6).contains(&p99), "{p99}");
        assert!(quantile(&[0.0; BUCKETS], used, 0.99) <= 0.0);
    }
}
