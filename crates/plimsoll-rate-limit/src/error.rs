//! Errors of rate limit settings.

use std::time::Duration;

use crate::bounds::{MAX_COLD, MAX_PERIOD};

/// A quota that would admit no request, or cannot be kept in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuota {
    /// The count is 0.
    #[error("count must be at least 1 request, got 0")]
    Count,
    /// The burst is 0.
    #[error("burst must be at least 1 request, got 0")]
    Burst,
    /// The period is zero, or longer than [`Quota::MAX_PERIOD`](crate::Quota::MAX_PERIOD).
    #[error("period must be 1 ns to {max:?}, got {period:?}", max = MAX_PERIOD)]
    Period {
        /// The rejected period.
        period: Duration,
    },
    /// More than one request per nanosecond.
    #[error("count must be at most 1 request per nanosecond, got {count} per {period:?}")]
    Rate {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// The count is more than a window of this kind can hold.
    #[error("count must be at most {max} in a window of this kind, got {count}")]
    Window {
        /// Requests per period.
        count: u32,
        /// The largest count.
        max: u32,
    },
    /// A window with a burst.
    #[error("burst must not be set for a window: its whole count may arrive at once")]
    BurstOfWindow,
    /// An empty list of quotas, which would admit every request.
    #[error("number of quotas must be at least 1, got 0")]
    NoQuotas,
    /// The offset is a day or more.
    #[error("utc_offset_minutes must be -1439 to 1439, got {minutes}")]
    UtcOffset {
        /// The rejected offset.
        minutes: i32,
    },
    /// An offset is set for a quota that is not a calendar window.
    #[error("utc_offset_minutes must not be set: only a calendar window has an offset")]
    OffsetOfPeriod,
    /// The name is not valid in a header.
    #[error(
        "name must be 1 to 64 printable ASCII characters without quotes and backslashes, got {0:?}"
    )]
    Name(Box<str>),
    /// Too many distinct names were made at run time.
    #[error("names of quotas must be at most 4096 in one process, got another, {0:?}")]
    Names(Box<str>),
    /// A burst that takes longer to refill than [`Quota::MAX_PERIOD`](crate::Quota::MAX_PERIOD).
    #[error(
        "burst must be refilled within {max:?}, got {burst} at one request per {increment:?}",
        max = MAX_PERIOD
    )]
    Refill {
        /// Requests that may arrive at once.
        burst: u32,
        /// The time in which one request is refilled.
        increment: Duration,
    },
}

/// A warm-up with a setting out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWarmUp {
    /// `cold` is 0 or more than [`WarmUp::MAX_COLD`](crate::WarmUp::MAX_COLD).
    #[error("cold must be 1 to {max}, got {0}", max = MAX_COLD)]
    Cold(u32),
    /// A duration is zero, or longer than [`Quota::MAX_PERIOD`](crate::Quota::MAX_PERIOD).
    #[error("{field} must be 1 ns to {max:?}, got {duration:?}", max = MAX_PERIOD)]
    Duration {
        /// `over` or `idle`.
        field: &'static str,
        /// The rejected duration.
        duration: Duration,
    },
    /// The quota is a window, which has no rate.
    #[error("quota must be a token bucket to warm up, got a window")]
    Window,
}

/// A keyed rate limit with a setting out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeyedRateLimit {
    /// The capacity is 0 or more than 2^28.
    #[error("capacity must be 1 to 2^28 keys, got {0}")]
    Capacity(usize),
    /// The limit has a warm-up.
    #[error("warm_up must not be set for a limit per key: a service warms up, a key does not")]
    WarmUp,
}
