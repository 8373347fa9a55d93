//! The decision of a cell: tokens that were taken, or a rejection.

use crate::word::Word;

/// Bits of a cell's tag that count refunded tokens, modulo 2^24. The bits above hold the key's mark
/// in a keyed limit.
pub(crate) const REFUNDED_BITS: u32 = 24;
pub(crate) const REFUNDED: u64 = (1 << REFUNDED_BITS) - 1;

/// Tokens that were taken, with what is needed to refund them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<const N: usize> {
    pub(crate) words: [Word; N],
    pub(crate) cost: u32,
    /// The cell's count of refunded tokens, in the lower [`REFUNDED_BITS`]. The bits above have no
    /// meaning: [`refunded_since`](Self::refunded_since) drops them.
    pub(crate) refunded: u32,
}

/// At least one quota had too few tokens. Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Empty {
    /// The quota with the longest wait.
    pub(crate) quota: usize,
    /// Nanoseconds until it has enough tokens; `None` for never.
    pub(crate) wait: Option<u64>,
    pub(crate) generation: u64,
}

impl<const N: usize> Token<N> {
    /// Tokens refunded since this token was taken, when the cell's count is `refunded`.
    pub(crate) fn refunded_since(&self, refunded: u32) -> u32 {
        refunded.wrapping_sub(self.refunded) & REFUNDED as u32
    }

    /// Whether this token is certainly after `other` in the bucket's schedule.
    ///
    /// Nothing was refunded between two tokens that saw the same count, so the one with the later
    /// state was taken later. With leases (`leased`) the order of the schedule differs from the
    /// order of taking.
    pub(crate) fn is_after(&self, other: &Self, leased: bool) -> bool {
        let ahead = self.words[0].state() > other.words[0].state();
        match other.refunded_since(self.refunded) {
            0 => ahead,
            more if u64::from(more) <= REFUNDED / 2 => ahead || !leased,
            _ => false,
        }
    }

    /// The token of a request that was not counted.
    pub(crate) const fn nothing() -> Self {
        Self {
            words: [Word(0); N],
            cost: 0,
            refunded: 0,
        }
    }
}

impl Empty {
    /// The rejection with the longer wait.
    pub(crate) fn longer(one: Option<Self>, other: Self) -> Self {
        match one {
            Some(one)
                if one
                    .wait
                    .is_none_or(|one| other.wait.is_some_and(|wait| wait <= one)) =>
            {
                one
            }
            _ => other,
        }
    }
}
