//! The part of its cost that is refunded at the end of a request.

/// The part of its cost that is refunded at the end of a request.
///
/// Returned by the closure of [`RateLimit::refund`](crate::RateLimit::refund). From a `bool`: all
/// of it or nothing. From a `u32`: that many tokens, at most the request's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refund {
    /// The request counts in full: nothing is refunded.
    Nothing,
    /// The request does not count: all tokens are refunded.
    All,
    /// This many tokens are refunded.
    Part(u32),
}

impl Refund {
    pub(crate) fn of(self, cost: u32) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::All => cost,
            Self::Part(part) => part.min(cost),
        }
    }
}

impl From<bool> for Refund {
    fn from(all: bool) -> Self {
        if all { Self::All } else { Self::Nothing }
    }
}

impl From<u32> for Refund {
    fn from(part: u32) -> Self {
        Self::Part(part)
    }
}
