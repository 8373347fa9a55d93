//! What cannot be set.

use std::time::Duration;

/// A setting is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConcurrencyLimit {
    /// No limit, or one that limits nothing.
    #[error("limit is {0}, but must be 1 to 2^30 requests")]
    Limit(usize),
    /// The limit is adaptive, so it cannot be set.
    #[error("the limit is adaptive: set its bounds, or pin it")]
    Adaptive,
    /// The limit is fixed, so it has no bounds.
    #[error("the limit is fixed: set the limit, not its bounds")]
    Fixed,
    /// Bounds of an adaptive limit.
    #[error("bounds are {min} to {max}, but must be 1 <= min <= max <= 2^30")]
    Bounds {
        /// The lower bound.
        min: usize,
        /// The upper bound.
        max: usize,
    },
    /// No queue, or one that never fills.
    #[error("queue length is {0}, but must be 1 to 2^20 requests")]
    QueueLen(usize),
    /// No time to wait, or no end of it.
    #[error("longest wait is {0:?}, but must be 1 microsecond to 1 hour")]
    MaxWait(Duration),
    /// A hint that invites the caller back at once, or never.
    #[error("retry hint is {0:?}, but must be 1 nanosecond to 1 day")]
    RetryAfter(Duration),
    /// A longest hint that invites the caller back at once, or never.
    #[error("longest retry hint is {0:?}, but must be 1 nanosecond to 1 day")]
    MaxRetryAfter(Duration),
    /// A longest stall that is shorter than the time between two frames, or no bound.
    #[error("longest stall is {0:?}, but must be 100 milliseconds to 1 hour")]
    MaxStall(Duration),
    /// No target for the delay, or one that is as long as the interval it is held against.
    #[error(
        "target delay is {target:?}, but must be 1 microsecond to less than the interval, {interval:?}"
    )]
    Target {
        /// The target.
        target: Duration,
        /// The interval.
        interval: Duration,
    },
    /// An interval so long that an overload would be over before it was noticed.
    #[error("interval is {0:?}, but must be at most 1 minute")]
    Interval(Duration),
    /// A service that takes no time, or for ever.
    #[error("service time is {0:?}, but must be 1 nanosecond to 1 hour")]
    ServiceTime(Duration),
}
