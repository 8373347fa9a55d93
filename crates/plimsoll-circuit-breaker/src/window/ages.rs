//! Slices of time, numbered, and which of them are recent.

/// Slices in a window by time, and in the longest age of outcomes: 16.
///
/// An outcome is dropped together with its slice, so between 15/16 of the period and the whole
/// period after it was recorded. More slices are more exact and take more memory per key (12 bytes
/// each). `an_outcome_leaves_between_fifteen_sixteenths_and_the_whole_period` fails when it differs.
pub(super) const SLICES: u64 = 16;

/// The current slice.
#[derive(Debug)]
pub(super) struct Slice {
    length: u64,
    number: u64,
}

impl Slice {
    /// Slices of a period, in nanoseconds.
    pub(super) fn of(period: u64) -> Self {
        Self {
            length: (period / SLICES).max(1),
            number: 0,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The end of the current slice.
    pub(super) fn ends_at(&self) -> u64 {
        self.length.saturating_mul(self.number.saturating_add(1))
    }

    /// Advances to the slice of `now`. Returns the numbers of the slices that started, at most the
    /// latest [`SLICES`] of them; empty when the slice has not ended.
    pub(super) fn advance(&mut self, now: u64) -> std::ops::RangeInclusive<u64> {
        let next = now / self.length;
        let first = (self.number + 1).max((next + 1).saturating_sub(SLICES));
        self.number = self.number.max(next);
        first..=next
    }
}

/// The index of a slice in a ring of [`SLICES`].
pub(super) fn index(slice: u64) -> usize {
    (slice % SLICES) as usize
}
