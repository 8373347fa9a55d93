//! One place of the ring: an item, or numbers that were lost.

use super::reason::DropReason;

/// A queued item.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) item: T,
    /// In bytes; 0 in a queue without a bound in bytes.
    pub(crate) weight: usize,
    /// When it was sent, in nanoseconds of the queue's clock, at least 1. 0: not measured.
    pub(crate) at: u64,
    /// Its priority, as a level.
    pub(crate) level: u16,
}

/// Consecutive numbers that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) count: u64,
    pub(crate) reason: DropReason,
}

impl Run {
    pub(crate) const fn one(reason: DropReason) -> Self {
        Self { count: 1, reason }
    }

    /// Adds the run that follows this one.
    pub(crate) fn add(&mut self, next: Self) {
        self.count += next.count;
        if self.reason != next.reason {
            self.reason = DropReason::Several;
        }
    }
}

#[derive(Debug)]
pub(crate) enum Slot<T> {
    Queued(Entry<T>),
    Lost(Run),
}
