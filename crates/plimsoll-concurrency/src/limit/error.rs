//! Errors of settings.

use std::time::Duration;

/// A setting of a concurrency limit is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConcurrencyLimit {
    /// The limit is 0 or too high.
    #[error("limit must be in 1..=2^30, got {0}")]
    Limit(usize),
    /// The limit is adaptive, so it cannot be set.
    #[error("the limit is adaptive: set its bounds, or pin it")]
    Adaptive,
    /// The limit is fixed, so it has no bounds.
    #[error("the limit is fixed: set the limit, not its bounds")]
    Fixed,
    /// The bounds of an adaptive limit are invalid.
    #[error("bounds must be 1 <= min <= max <= 2^30, got min = {min}, max = {max}")]
    Bounds {
        /// The lower bound.
        min: usize,
        /// The upper bound.
        max: usize,
    },
    /// The queue length is 0 or too high.
    #[error("queue len must be in 1..=2^20, got {0}")]
    QueueLen(usize),
    /// The longest wait is out of bounds.
    #[error("max_wait must be 1 microsecond to 1 hour, got {0:?}")]
    MaxWait(Duration),
    /// The retry hint is out of bounds.
    #[error("retry_after must be 1 nanosecond to 1 day, got {0:?}")]
    RetryAfter(Duration),
    /// The longest estimated retry hint is out of bounds.
    #[error("max_retry_after must be 1 nanosecond to 1 day, got {0:?}")]
    MaxRetryAfter(Duration),
    /// The longest stall is out of bounds.
    #[error("max_stall must be 100 milliseconds to 1 hour, got {0:?}")]
    MaxStall(Duration),
    /// The target delay is zero or not shorter than the interval.
    #[error("target must be 1 microsecond to less than interval ({interval:?}), got {target:?}")]
    Target {
        /// The target delay.
        target: Duration,
        /// The interval.
        interval: Duration,
    },
    /// The interval is too long.
    #[error("interval must be at most 1 minute, got {0:?}")]
    Interval(Duration),
    /// The service time is zero or too long.
    #[error("service_time must be 1 nanosecond to 1 hour, got {0:?}")]
    ServiceTime(Duration),
}
