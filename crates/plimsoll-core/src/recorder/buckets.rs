//! Counts of durations in atomics, allocated octave by octave.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
};

use super::layout::{LONGEST, OCTAVES, PER_OCTAVE, place};

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

/// The counts of one octave: 1 KiB.
pub type Octave = [AtomicU64; PER_OCTAVE];

/// A histogram of durations. A count of 64 bits does not overflow in the life of a machine.
#[derive(Default)]
pub struct Buckets {
    /// The exact sum, in nanoseconds. It wraps after 584 years of summed time, which a scraper
    /// takes for a restart.
    pub nanos: AtomicU64,
    octaves: [OnceLock<Box<Octave>>; OCTAVES],
}

impl Buckets {
    /// The count of a duration. `None` if its octave was not used before, or is beyond the range.
    #[inline]
    pub fn count(&self, nanos: u64) -> Option<&AtomicU64> {
        let (octave, at) = place(nanos);
        let counts = self.octaves.get(octave)?.get()?;
        Some(&counts[at % PER_OCTAVE])
    }

    /// Counts a duration, beyond the range as the longest.
    pub fn record<W: Write>(&self, nanos: u64) {
        let (octave, at) = place(nanos.min(LONGEST));
        if let Some(octave) = self.octaves.get(octave) {
            let counts = octave.get_or_init(|| Box::new([const { AtomicU64::new(0) }; PER_OCTAVE]));
            W::add(&counts[at % PER_OCTAVE], 1);
        }
        W::add(&self.nanos, nanos);
    }

    /// The counts of an octave; `None` while it has none.
    pub fn octave(&self, number: usize) -> Option<&Octave> {
        self.octaves.get(number)?.get().map(|counts| &**counts)
    }

    /// Bytes that were allocated.
    pub fn bytes(&self) -> usize {
        let used = self.octaves.iter().filter(|octave| octave.get().is_some());
        used.count() * size_of::<Octave>()
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets")
            .field("nanos", &self.nanos)
            .finish_non_exhaustive()
    }
}
