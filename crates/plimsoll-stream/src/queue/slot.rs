//! What is kept beside an item, and numbers that were lost.

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
    #[inline]
    pub(crate) fn add(&mut self, next: Self) {
        self.count += next.count;
        if self.reason != next.reason {
            self.reason = DropReason::Several;
        }
    }
}

/// What is known about a queued item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tag {
    /// In bytes; 0 in a queue without a bound in bytes.
    pub(crate) weight: usize,
    /// When the item was sent, in nanoseconds of the queue's clock, at least 1. 0: not measured.
    pub(crate) sent_at: u64,
    /// The priority, as a level.
    pub(crate) level: usize,
}

/// What is kept beside a slot of the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Queued(Tag),
    Lost(Run),
}

impl Side {
    /// The numbers that were lost, if this is no item.
    pub(crate) fn run(&self) -> Option<Run> {
        match self {
            Self::Queued(_) => None,
            Self::Lost(run) => Some(*run),
        }
    }

    /// What is known about the item, if it is one.
    pub(crate) fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Queued(tag) => Some(tag),
            Self::Lost(_) => None,
        }
    }

    /// Adds lost numbers that follow those of this slot.
    pub(crate) fn add(&mut self, next: Run) {
        if let Self::Lost(run) = self {
            run.add(next);
        }
    }
}
