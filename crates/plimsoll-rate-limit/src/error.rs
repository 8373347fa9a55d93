//! Errors of rate limit settings.

use std::{fmt, time::Duration};

use crate::bounds::{MAX_COLD, MAX_PERIOD};

/// A quota that would admit no request, or cannot be kept in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidQuota {
    /// The count is 0.
    Count,
    /// The burst is 0.
    Burst,
    /// The period is zero, or longer than [`Quota::MAX_PERIOD`](crate::Quota::MAX_PERIOD).
    Period {
        /// The rejected period.
        period: Duration,
    },
    /// More than one request per nanosecond.
    Rate {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// The count is more than a window of this kind can hold.
    Window {
        /// Requests per period.
        count: u32,
        /// The largest count.
        max: u32,
    },
    /// A window with a burst.
    BurstOfWindow,
    /// An empty list of quotas, which would admit every request.
    NoQuotas,
    /// The offset is a day or more.
    UtcOffset {
        /// The rejected offset.
        minutes: i32,
    },
    /// An offset is set for a quota that is not a calendar window.
    OffsetOfPeriod,
    /// The name is not valid in a header.
    Name(Box<str>),
    /// Too many distinct names were made at run time.
    Names(Box<str>),
    /// A burst that takes longer to refill than [`Quota::MAX_PERIOD`](crate::Quota::MAX_PERIOD).
    Refill {
        /// Requests that may arrive at once.
        burst: u32,
        /// The time in which one request is refilled.
        increment: Duration,
    },
}

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count must be at least 1 request, got 0"),
            Self::Burst => f.write_str("burst must be at least 1 request, got 0"),
            Self::Period { period } => {
                write!(f, "period must be 1 ns to {MAX_PERIOD:?}, got {period:?}")
            }
            Self::Rate { count, period } => write!(
                f,
                "count must be at most 1 request per nanosecond, got {count} per {period:?}"
            ),
            Self::Window { count, max } => write!(
                f,
                "count must be at most {max} in a window of this kind, got {count}"
            ),
            Self::BurstOfWindow => f.write_str(
                "burst must not be set for a window: its whole count may arrive at once",
            ),
            Self::NoQuotas => f.write_str("number of quotas must be at least 1, got 0"),
            Self::UtcOffset { minutes } => {
                write!(f, "utc_offset_minutes must be -1439 to 1439, got {minutes}")
            }
            Self::OffsetOfPeriod => f.write_str(
                "utc_offset_minutes must not be set: only a calendar window has an offset",
            ),
            Self::Name(got) => write!(
                f,
                "name must be 1 to 64 printable ASCII characters without quotes and backslashes, got {got:?}"
            ),
            Self::Names(got) => write!(
                f,
                "names of quotas must be at most 4096 in one process, got another, {got:?}"
            ),
            Self::Refill { burst, increment } => write!(
                f,
                "burst must be refilled within {MAX_PERIOD:?}, got {burst} at one request per {increment:?}"
            ),
        }
    }
}

impl std::error::Error for InvalidQuota {}

/// A warm-up with a setting out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidWarmUp {
    /// `cold` is 0 or more than [`WarmUp::MAX_COLD`](crate::WarmUp::MAX_COLD).
    Cold(u32),
    /// A duration is zero, or longer than [`Quota::MAX_PERIOD`](crate::Quota::MAX_PERIOD).
    Duration {
        /// `over` or `idle`.
        field: &'static str,
        /// The rejected duration.
        duration: Duration,
    },
    /// The quota is a window, which has no rate.
    Window,
}

impl fmt::Display for InvalidWarmUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cold(got) => write!(f, "cold must be 1 to {MAX_COLD}, got {got}"),
            Self::Duration { field, duration } => write!(
                f,
                "{field} must be 1 ns to {MAX_PERIOD:?}, got {duration:?}"
            ),
            Self::Window => f.write_str("quota must be a token bucket to warm up, got a window"),
        }
    }
}

impl std::error::Error for InvalidWarmUp {}

/// A keyed rate limit with a setting out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKeyedRateLimit {
    /// The capacity is 0 or more than 2^28.
    Capacity(usize),
    /// The limit has a warm-up.
    WarmUp,
}

impl fmt::Display for InvalidKeyedRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(got) => write!(f, "capacity must be 1 to 2^28 keys, got {got}"),
            Self::WarmUp => f.write_str(
                "warm_up must not be set for a limit per key: a service warms up, a key does not",
            ),
        }
    }
}

impl std::error::Error for InvalidKeyedRateLimit {}
