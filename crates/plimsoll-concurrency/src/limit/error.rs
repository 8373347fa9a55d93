//! Errors of settings.

use std::{fmt, time::Duration};

/// A setting of a concurrency limit is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidConcurrencyLimit {
    /// The limit is 0 or too high.
    Limit(usize),
    /// The limit is adaptive, so it cannot be set.
    Adaptive,
    /// The limit is fixed, so it has no bounds.
    Fixed,
    /// The bounds of an adaptive limit are invalid.
    Bounds {
        /// The lower bound.
        min: usize,
        /// The upper bound.
        max: usize,
    },
    /// The queue length is 0 or too high.
    QueueLen(usize),
    /// The longest wait is out of bounds.
    MaxWait(Duration),
    /// The retry hint is out of bounds.
    RetryAfter(Duration),
    /// The longest estimated retry hint is out of bounds.
    MaxRetryAfter(Duration),
    /// The longest stall is out of bounds.
    MaxStall(Duration),
    /// The target delay is zero or not shorter than the interval.
    Target {
        /// The target delay.
        target: Duration,
        /// The interval.
        interval: Duration,
    },
    /// The interval is too long.
    Interval(Duration),
    /// The service time is zero or too long.
    ServiceTime(Duration),
}

impl fmt::Display for InvalidConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(got) => write!(f, "limit must be in 1..=2^30, got {got}"),
            Self::Adaptive => f.write_str("the limit is adaptive: set its bounds, or pin it"),
            Self::Fixed => f.write_str("the limit is fixed: set the limit, not its bounds"),
            Self::Bounds { min, max } => write!(
                f,
                "bounds must be 1 <= min <= max <= 2^30, got min = {min}, max = {max}"
            ),
            Self::QueueLen(got) => write!(f, "queue len must be in 1..=2^20, got {got}"),
            Self::MaxWait(got) => {
                write!(f, "max_wait must be 1 microsecond to 1 hour, got {got:?}")
            }
            Self::RetryAfter(got) => {
                write!(f, "retry_after must be 1 nanosecond to 1 day, got {got:?}")
            }
            Self::MaxRetryAfter(got) => write!(
                f,
                "max_retry_after must be 1 nanosecond to 1 day, got {got:?}"
            ),
            Self::MaxStall(got) => write!(
                f,
                "max_stall must be 100 milliseconds to 1 hour, got {got:?}"
            ),
            Self::Target { target, interval } => write!(
                f,
                "target must be 1 microsecond to less than interval ({interval:?}), got {target:?}"
            ),
            Self::Interval(got) => write!(f, "interval must be at most 1 minute, got {got:?}"),
            Self::ServiceTime(got) => write!(
                f,
                "service_time must be 1 nanosecond to 1 hour, got {got:?}"
            ),
        }
    }
}

impl std::error::Error for InvalidConcurrencyLimit {}
