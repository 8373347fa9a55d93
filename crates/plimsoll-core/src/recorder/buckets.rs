//! Counts of durations in atomics, allocated when they are used.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use super::layout::{LONGEST, OCTAVES, PER_OCTAVE, index, place};

/// How a count is written.
pub trait Write {
    /// Adds to a count. What the thread wrote before is visible to a reader of the new count.
    fn add(count: &AtomicU64, more: u64);
}

/// By the only thread that writes to it: a load and a store, without a locked instruction.
#[derive(Debug)]
pub enum Own {}

/// By any thread.
#[derive(Debug)]
pub enum Shared {}

impl Write for Own {
    #[inline]
    fn add(count: &AtomicU64, more: u64) {
        count.store(count.load(Relaxed).wrapping_add(more), Release);
    }
}

impl Write for Shared {
    #[inline]
    fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Release);
    }
}

/// Octaves that are allocated together: durations below 2^22 ns, 4.2 ms. With fewer, more requests
/// take the longer way of [`record`](Buckets::record); each one more costs 1 KiB for each thread
/// that has counted one duration (`benches --bin metrics`, memory).
const TOGETHER: usize = 12;

/// The counts of one octave: 1 KiB. Aligned, so that no two threads write to one pair of cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Octave([AtomicU64; PER_OCTAVE]);

/// The counts of the first octaves: 12 KiB.
#[derive(Debug)]
#[repr(align(128))]
struct First([AtomicU64; TOGETHER * PER_OCTAVE]);

type Others = [OnceLock<Box<Octave>>; OCTAVES - TOGETHER];

/// A histogram of durations. A count of 64 bits does not overflow in the life of a machine.
#[derive(Default)]
pub struct Buckets {
    /// The exact sum, in nanoseconds. It wraps after 584 years of summed time, which a scraper
    /// takes for a restart.
    pub nanos: AtomicU64,
    /// Performance: together, so that a bucket of a usual duration is found by one index
    /// (`instructions`, `gate-metrics@accept`).
    first: OnceLock<Box<First>>,
    others: OnceLock<Box<Others>>,
}

impl Buckets {
    /// The count of a duration below 4.2 ms. `None` beyond, or if there was no such duration before.
    #[inline]
    pub fn count(&self, nanos: u64) -> Option<&AtomicU64> {
        self.first.get()?.0.get(index(nanos))
    }

    /// Counts a duration, beyond the range as the longest.
    pub fn record<W: Write>(&self, nanos: u64) {
        let (octave, at) = place(nanos.min(LONGEST));
        if octave < TOGETHER {
            let first = self.first.get_or_init(|| {
                Box::new(First([const { AtomicU64::new(0) }; TOGETHER * PER_OCTAVE]))
            });
            W::add(&first.0[octave * PER_OCTAVE + at], 1);
        } else {
            let others = self.others.get_or_init(Box::default);
            let counts = others[octave - TOGETHER]
                .get_or_init(|| Box::new(Octave([const { AtomicU64::new(0) }; PER_OCTAVE])));
            W::add(&counts.0[at], 1);
        }
        W::add(&self.nanos, nanos);
    }

    /// The counts of an octave; `None` while it has none.
    fn octave(&self, number: usize) -> Option<&[AtomicU64]> {
        match number.checked_sub(TOGETHER) {
            None => {
                let start = number * PER_OCTAVE;
                self.first.get()?.0.get(start..start + PER_OCTAVE)
            }
            Some(number) => Some(&self.others.get()?.get(number)?.get()?.0),
        }
    }

    /// Bytes that were allocated.
    pub fn bytes(&self) -> usize {
        let first = self.first.get().map_or(0, |_| size_of::<First>());
        let others = self.others.get().map_or(0, |others| {
            let used = others.iter().filter(|octave| octave.get().is_some());
            size_of::<Others>() + used.count() * size_of::<Octave>()
        });
        first + others
    }
}

/// A histogram to be read.
pub trait Counts {
    /// The exact sum, in nanoseconds.
    fn nanos(&self) -> u64;
    /// Adds the counts of an octave. `false` if it has none.
    fn add_to(&self, octave: usize, sums: &mut [u64; PER_OCTAVE]) -> bool;
}

impl Counts for Buckets {
    fn nanos(&self) -> u64 {
        self.nanos.load(Acquire)
    }

    fn add_to(&self, octave: usize, sums: &mut [u64; PER_OCTAVE]) -> bool {
        let Some(counts) = self.octave(octave) else {
            return false;
        };
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = sum.wrapping_add(count.load(Acquire));
        }
        true
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets")
            .field("nanos", &self.nanos)
            .finish_non_exhaustive()
    }
}
