//! How long items wait in the queue.

use std::time::Duration;

/// Steps between two powers of two. In steps: bounds are at most 25 % above the value.
const STEPS: usize = 4;
/// The first bound, in nanoseconds, as a power of two: about 1 µs, below which a queue is no delay.
const FIRST: u32 = 10;
/// Powers of two: up to 2^40 ns, 18 minutes.
const POWERS: usize = 31;
const BUCKETS: usize = STEPS * POWERS;

/// Measures one item of `every`.
#[derive(Debug)]
pub(crate) struct Waits {
    every: u32,
    /// The number of the next item that is measured.
    next: u64,
    buckets: Box<[u64; BUCKETS]>,
}

impl Waits {
    pub(crate) fn new(every: u32) -> Self {
        Self {
            every,
            next: 0,
            buckets: Box::new([0; BUCKETS]),
        }
    }

    /// The number of the next item that is measured.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether the new item with this number is measured.
    #[inline]
    pub(crate) fn draw(&mut self, number: u64) -> bool {
        let measured = number >= self.next;
        if measured {
            self.next = number + u64::from(self.every);
        }
        measured
    }

    /// The item that was drawn last got the number of another: one number less to the next draw.
    pub(crate) fn replaced(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// A new number went to an item that was not queued and not drawn.
    pub(crate) fn dropped(&mut self) {
        self.next += 1;
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        if let Some(count) = self.buckets.get_mut(bucket(nanos)) {
            *count += 1;
        }
    }

    pub(crate) fn snapshot(&self) -> WaitTimes {
        WaitTimes {
            every: self.every,
            buckets: self.buckets.to_vec(),
        }
    }
}

/// The bucket of the smallest bound that is at least `nanos`.
fn bucket(nanos: u64) -> usize {
    if nanos <= 1 << FIRST {
        return 0;
    }
    let below = nanos - 1;
    let power = below.ilog2();
    let step = (below >> (power - 2)) as usize & (STEPS - 1);
    ((power - FIRST) as usize * STEPS + step + 1).min(BUCKETS - 1)
}

/// The upper bound of a bucket, in nanoseconds.
fn bound(bucket: usize) -> u64 {
    let (power, step) = (bucket / STEPS, bucket % STEPS);
    ((STEPS + step) as u64) << (FIRST as usize + power - 2)
}

/// The times that received items waited in the queue: a histogram.
///
/// Bounds grow by at most 25 %, from 1 µs to 18 minutes; longer waits are in the last bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitTimes {
    every: u32,
    buckets: Vec<u64>,
}

impl WaitTimes {
    /// One item of this many is measured.
    pub const fn every(&self) -> u32 {
        self.every
    }

    /// Returns how many items were measured.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Buckets that are not empty: the longest wait in it, and how many items waited so long.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.buckets.iter().enumerate();
        let counts = counts.filter(|(_, count)| **count > 0);
        counts.map(|(index, count)| (Duration::from_nanos(bound(index)), *count))
    }

    /// Returns the sum of the measured waits, estimated from the middle of each bucket.
    ///
    /// At most 13 % off, apart from waits below 1 µs, which count as half of it, and waits beyond 18
    /// minutes, which count as the last bucket.
    pub fn estimated_sum(&self) -> Duration {
        let counts = self.buckets.iter().enumerate();
        let sum = counts.fold(0_u128, |sum, (index, count)| {
            let below = index.checked_sub(1).map_or(0, bound);
            sum + u128::from(below + bound(index)) * u128::from(*count)
        });
        Duration::from_nanos(u64::try_from(sum / 2).unwrap_or(u64::MAX))
    }

    /// Returns the wait that a share of the items did not exceed: 0.99 for the 99th percentile.
    ///
    /// At most 25 % above the exact value. `None` if no item was measured or `share` is not in 0..=1.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 || !(0.0..=1.0).contains(&share) {
            return None;
        }
        let rank = ((count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let mut reached = self.buckets().filter(|(_, count)| {
            seen += count;
            seen >= rank
        });
        reached.next().map(|(bound, _)| bound)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_at_most_its_bound(nanos in 0_u64..1 << 40) {
            let at = bucket(nanos);
            prop_assert!(nanos <= bound(at));
            prop_assert!(at == 0 || nanos > bound(at - 1));
            prop_assert!(at == 0 || bound(at) as f64 <= nanos as f64 * 1.25 + 1.0);
        }
    }

    #[test]
    fn the_sum_is_estimated_within_13_percent() {
        let mut waits = Waits::new(1);
        assert_eq!(waits.snapshot().estimated_sum(), Duration::ZERO);
        let mut exact = 0;
        for nanos in [2_000, 77_000, 1_000_000, 1_000_001, 5_000_000_000] {
            waits.record(nanos);
            exact += nanos;
            let estimated = waits.snapshot().estimated_sum().as_nanos() as f64;
            assert!(
                (estimated / exact as f64 - 1.0).abs() < 0.13,
                "{estimated} {exact}"
            );
        }
    }

    #[test]
    fn a_wait_beyond_the_last_bound_is_counted_in_the_last_bucket() {
        let mut waits = Waits::new(1);
        waits.record(u64::MAX);
        assert_eq!(waits.snapshot().count(), 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
