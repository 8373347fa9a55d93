//! One place of the ring: an item, or numbers that were lost.

use super::reason::DropReason;

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

/// A queued item, or numbers that were lost.
///
/// Performance: one struct of words and no enum, whose variants the compiler copies byte by byte
/// (`streams`, `queue/push+pop`).
#[derive(Debug)]
pub(crate) struct Slot<T> {
    /// `None` for lost numbers.
    pub(crate) item: Option<T>,
    /// Of the item in bytes; 0 in a queue without a bound in bytes.
    pub(crate) weight: usize,
    /// When the item was sent, in nanoseconds of the queue's clock, at least 1. 0: not measured.
    /// For lost numbers: their count.
    at: u64,
    /// The priority of the item, as a level.
    pub(crate) level: u16,
    /// Why numbers were lost.
    reason: DropReason,
}

impl<T> Slot<T> {
    #[inline]
    pub(crate) fn queued(item: T, weight: usize, level: u16, at: u64) -> Self {
        Self {
            item: Some(item),
            weight,
            at,
            level,
            reason: DropReason::Several,
        }
    }

    pub(crate) fn lost(run: Run) -> Self {
        Self {
            item: None,
            weight: 0,
            at: run.count,
            level: 0,
            reason: run.reason,
        }
    }

    #[inline]
    pub(crate) fn is_queued(&self) -> bool {
        self.item.is_some()
    }

    /// The numbers that were lost, if this is no item.
    pub(crate) fn run(&self) -> Option<Run> {
        let (count, reason) = (self.at, self.reason);
        self.item.is_none().then_some(Run { count, reason })
    }

    /// When the item was sent, 0 if that was not measured.
    #[inline]
    pub(crate) fn sent_at(&self) -> u64 {
        self.at
    }

    pub(crate) fn set_sent_at(&mut self, at: u64) {
        self.at = at;
    }

    /// Adds lost numbers that follow those of this slot.
    pub(crate) fn add(&mut self, next: Run) {
        if let Some(mut run) = self.run() {
            run.add(next);
            *self = Self::lost(run);
        }
    }
}
