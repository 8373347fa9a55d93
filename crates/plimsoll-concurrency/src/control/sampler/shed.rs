//! Which requests are rejected for lack of a place in the queue.

use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use plimsoll_core::Priority;

use super::Sampler;

/// The least important criticality that was rejected or evicted, in this window and in the last one.
/// More than any criticality if there was none.
#[derive(Debug)]
pub(super) struct Shed {
    now: AtomicU16,
    before: AtomicU16,
}

impl Shed {
    pub(super) fn new() -> Self {
        Self {
            now: AtomicU16::new(u16::MAX),
            before: AtomicU16::new(u16::MAX),
        }
    }

    /// A window has ended.
    pub(super) fn next(&self) {
        let now = self.now.swap(u16::MAX, Relaxed);
        self.before.store(now, Relaxed);
    }
}

impl Sampler {
    /// Counts a request of this level that found no place in the queue, or lost it to another.
    pub(crate) fn sheds(&self, level: u16) {
        let criticality = level / Priority::COHORTS;
        if criticality < self.shed.now.load(Relaxed) {
            self.shed.now.fetch_min(criticality, Relaxed);
        }
    }

    /// Returns how many places a queue of `len` has for a request of this level.
    ///
    /// Under saturation the queue is short, since a longer one serves no more. For requests that are
    /// more important than those that are rejected the service is not saturated: what waits is a burst
    /// of them. They have the places of calm time.
    pub(crate) fn places(&self, len: u32, level: u16) -> u32 {
        let shed = &self.shed;
        let rejected = shed.now.load(Relaxed).min(shed.before.load(Relaxed));
        if level / Priority::COHORTS > rejected {
            (f64::from(len) * self.tuning.patience).min(Self::MOST_PLACES) as u32
        } else {
            len
        }
    }

    /// The longest queue of a limit.
    const MOST_PLACES: f64 = (1 << 20) as f64;
}
