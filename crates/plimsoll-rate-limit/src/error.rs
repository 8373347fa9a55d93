//! What can be wrong with a rate limit, before there is one.

use std::time::Duration;

use crate::{Quota, WarmUp};

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
    /// More than a window of this kind can count.
    #[error("count is {count}, but must be at most {max} in a window of this kind")]
    Window {
        /// Requests per period.
        count: u32,
        /// The most there may be.
        max: u32,
    },
    /// A window with a burst.
    #[error("burst is set, but a window lets its whole count in at once")]
    BurstOfWindow,
    /// An empty list of quotas, which would admit every request.
    #[error("number of quotas is 0, but must be at least 1")]
    NoQuotas,
    /// An offset of a day or more.
    #[error("utc offset is {minutes} minutes, but must be -1439 to 1439")]
    UtcOffset {
        /// The offset asked for.
        minutes: i32,
    },
    /// An offset is set for a quota that is not a calendar window.
    #[error("utc offset is set, but only a calendar window has one")]
    OffsetOfPeriod,
    /// It cannot stand in a header.
    #[error(
        "name is {0:?}, but must be 1 to 64 printable ASCII characters without quotes and backslashes"
    )]
    Name(&'static str),
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

/// A warm-up that has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWarmUp {
    /// The rate at the start is no part of the rate.
    #[error("cold is {0}, but must be 1 to {max}", max = WarmUp::MAX_COLD)]
    Cold(u32),
    /// A time is zero, or longer than [`Quota::MAX_PERIOD`].
    #[error("{field} is {duration:?}, but must be 1 ns to {max:?}", max = Quota::MAX_PERIOD)]
    Duration {
        /// `over` or `idle`.
        field: &'static str,
        /// The time asked for.
        duration: Duration,
    },
    /// The quota is a window, which has no rate.
    #[error("the quota is a window, but only a token bucket can warm up")]
    Window,
}

/// A keyed rate limit that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeyedRateLimit {
    /// The quota.
    #[error(transparent)]
    Quota(#[from] InvalidQuota),
    /// The capacity.
    #[error("capacity is {0}, but must be 1 to 2^28 keys")]
    Capacity(usize),
    /// The limit warms up.
    #[error("the limit warms up, but only one for all requests can: a service is cold, not a key")]
    WarmUp,
}
