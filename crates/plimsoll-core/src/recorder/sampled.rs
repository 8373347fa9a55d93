//! Counts of a sample of durations, by one writer and in half of the memory.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use super::{
    buckets::{Counts, Own, Write as _},
    layout::{LONGEST, OCTAVES, PER_OCTAVE, place},
};

/// The counts of one octave: 512 bytes. Aligned, so that no two threads write to one pair of cache
/// lines.
#[derive(Debug)]
#[repr(align(128))]
struct Octave([AtomicU32; PER_OCTAVE]);

type Octaves = [OnceLock<Box<Octave>>; OCTAVES];

/// A histogram of durations whose counts have 32 bits.
#[derive(Default)]
pub struct Sampled {
    nanos: AtomicU64,
    octaves: OnceLock<Box<Octaves>>,
}

impl Sampled {
    /// Counts a duration, beyond the range as the longest. Returns `false`, and has done nothing,
    /// when its count has reached the maximum: another histogram then has to count it.
    ///
    /// Only for the one thread that writes to it.
    pub fn record(&self, nanos: u64) -> bool {
        let (octave, at) = place(nanos.min(LONGEST));
        let octaves = self.octaves.get_or_init(Box::default);
        let counts = octaves[octave]
            .get_or_init(|| Box::new(Octave([const { AtomicU32::new(0) }; PER_OCTAVE])));
        let count = &counts.0[at];
        let Some(next) = count.load(Relaxed).checked_add(1) else {
            return false;
        };
        count.store(next, Release);
        Own::add(&self.nanos, nanos);
        true
    }

    /// Bytes that were allocated.
    pub fn bytes(&self) -> usize {
        self.octaves.get().map_or(0, |octaves| {
            let used = octaves.iter().filter(|octave| octave.get().is_some());
            size_of::<Octaves>() + used.count() * size_of::<Octave>()
        })
    }
}

impl Counts for Sampled {
    fn nanos(&self) -> u64 {
        self.nanos.load(Acquire)
    }

    fn add_to(&self, octave: usize, sums: &mut [u64; PER_OCTAVE]) -> bool {
        let octaves = self.octaves.get();
        let Some(counts) = octaves.and_then(|octaves| octaves.get(octave)?.get()) else {
            return false;
        };
        for (sum, count) in sums.iter_mut().zip(&counts.0) {
            *sum = sum.wrapping_add(count.load(Acquire).into());
        }
        true
    }
}

impl fmt::Debug for Sampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled")
            .field("nanos", &self.nanos)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_count_leaves_a_duration_to_another_histogram() {
        let sampled = Sampled::default();
        assert!(sampled.record(5_000) && sampled.record(70_000));
        let (octave, at) = place(5_000);
        let count = &sampled.octaves.get().unwrap()[octave].get().unwrap().0[at];
        count.store(u32::MAX - 1, Relaxed);
        assert!(sampled.record(5_000));
        assert!(!sampled.record(5_000) && sampled.record(70_000));
        let mut sums = [0; PER_OCTAVE];
        assert!(sampled.add_to(octave, &mut sums) && !sampled.add_to(0, &mut sums));
        assert_eq!(sums[at], u64::from(u32::MAX));
        assert_eq!(sampled.nanos(), 150_000);
    }
}
