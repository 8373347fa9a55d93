//! What a request that has ended gets back.

/// How much of what a request took it gets back when it has ended; see [`RateLimit::refund`](crate::RateLimit::refund).
///
/// A `bool` says whether all of it, a `u32` how much: never more than it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveBack {
    /// It counts.
    Nothing,
    /// It does not count.
    All,
    /// So much of it does not count.
    Part(u32),
}

impl GiveBack {
    pub(crate) fn of(self, cost: u32) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::All => cost,
            Self::Part(part) => part.min(cost),
        }
    }
}

impl From<bool> for GiveBack {
    fn from(all: bool) -> Self {
        if all { Self::All } else { Self::Nothing }
    }
}

impl From<u32> for GiveBack {
    fn from(part: u32) -> Self {
        Self::Part(part)
    }
}
