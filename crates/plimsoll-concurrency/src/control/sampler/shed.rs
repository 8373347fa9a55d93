//! Which requests are rejected for lack of a place in the queue.

use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use plimsoll_core::Priority;

/// The longest queue of a limit.
const MOST_PLACES: f64 = (1 << 20) as f64;

/// The most important criticality that was rejected or evicted, in this window and in the last one,
/// plus 1. 0 if there was none.
#[derive(Debug)]
pub(crate) struct Shed {
    now: AtomicU16,
    before: AtomicU16,
    /// How many times as long the queue is for requests that are more important: at least 1.
    longer: f64,
}

impl Shed {
    pub(super) fn new(longer: f64) -> Self {
        Self {
            now: AtomicU16::new(0),
            before: AtomicU16::new(0),
            longer: longer.max(1.0),
        }
    }

    /// A window has ended.
    pub(super) fn next(&self) {
        let now = self.now.swap(0, Relaxed);
        self.before.store(now, Relaxed);
    }

    /// Counts a request of this level that found no place in the queue, or lost it to another.
    pub(crate) fn add(&self, level: u16) {
        let criticality = criticality(level);
        if criticality > self.now.load(Relaxed) {
            self.now.fetch_max(criticality, Relaxed);
        }
    }

    /// Returns how many places a queue of `len` has for a request of this level.
    pub(crate) fn places(&self, len: u32, level: u16) -> u32 {
        let rejected = self.now.load(Relaxed).max(self.before.load(Relaxed));
        if rejected > 0 && criticality(level) > rejected {
            (f64::from(len) * self.longer).min(MOST_PLACES) as u32
        } else {
            len
        }
    }

    /// Returns how many places a queue of `len` has at most.
    pub(crate) fn most_places(&self, len: u32) -> u32 {
        self.places(len, Priority::LEVELS - 1)
    }
}

/// The criticality of a level, plus 1.
fn criticality(level: u16) -> u16 {
    level / Priority::COHORTS + 1
}
