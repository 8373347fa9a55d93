//! What can be wrong with a rate limit, before there is one.

use std::time::Duration;

use plimsoll_core::InvalidKeyed;

use crate::Quota;

/// A quota that would admit nobody, or cannot be kept in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuota {
    /// No requests at all.
    #[error("count is 0, but must be at least 1 request")]
    Count,
    /// Not even one request at a time.
    #[error("burst is 0, but must be at least 1 request")]
    Burst,
    /// The period is zero, or longer than [`Quota::MAX_PERIOD`].
    #[error("period is {period:?}, but must be 1 ns to {max:?}", max = Quota::MAX_PERIOD)]
    Period {
        /// The period asked for.
        period: Duration,
    },
    /// More than one request per nanosecond.
    #[error("count is {count} per {period:?}, but must be at most 1 request per nanosecond")]
    Rate {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// A burst that takes longer to refill than [`Quota::MAX_PERIOD`].
    #[error(
        "burst is {burst} at one request per {increment:?}, but must be refilled within {max:?}",
        max = Quota::MAX_PERIOD
    )]
    Refill {
        /// Requests that may come at once.
        burst: u32,
        /// The time in which one is refilled.
        increment: Duration,
    },
}

/// The name cannot be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// It cannot stand in a header.
    #[error(
        "name is {0:?}, but must be 1 to 64 printable ASCII characters without quotes and backslashes"
    )]
    Unprintable(&'static str),
    /// The limit has been named before.
    #[error("name is already {0:?}, but must be set once")]
    Taken(&'static str),
}

/// A keyed rate limit that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeyedRateLimit {
    /// The quota.
    #[error(transparent)]
    Quota(#[from] InvalidQuota),
    /// The capacity.
    #[error(transparent)]
    Capacity(#[from] InvalidKeyed),
}
