//! Invalid settings.

use std::time::Duration;

/// A setting is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLoadShed {
    /// The load at which shedding starts is not in bounds.
    #[error("start must be in 0..=1000, got {0}")]
    Start(f64),
    /// The load at which all is shed is not above the start.
    #[error("full must be above start ({start}) and at most 1000, got {full}")]
    Full {
        /// The load at which shedding starts.
        start: f64,
        /// The rejected value.
        full: f64,
    },
    /// The retry hint is zero, or longer than a day.
    #[error("retry_after must be in 1ns..=1 day, got {0:?}")]
    RetryAfter(Duration),
    /// The queue has no capacity.
    #[error("capacity must be at least 1, got {0}")]
    Capacity(usize),
    /// The window is too short to count requests, or too long to react.
    #[error("window must be in 1ms..=1min, got {0:?}")]
    Window(Duration),
    /// A throttle's window is too short or too long.
    #[error("window must be in 1s..=1h, got {0:?}")]
    ThrottleWindow(Duration),
    /// A period is too short or too long.
    #[error("period must be in 1ms..=1h, got {0:?}")]
    Period(Duration),
    /// The sampler would run too often or too seldom.
    #[error("interval must be in 10ms..=1min, got {0:?}")]
    Interval(Duration),
    /// The objective of a delay is too short or too long.
    #[error("objective must be in 1us..=1h, got {0:?}")]
    Objective(Duration),
    /// A share is not above 0 and at most 1.
    #[error("{field} must be in (0, 1], got {value}")]
    Share {
        /// The name of the setting.
        field: &'static str,
        /// The rejected value.
        value: f64,
    },
    /// The factor of accepts is below 1 or above 100. Below 1, a callee that accepts every request
    /// would be sent less and less.
    #[error("multiplier must be in 1..=100, got {0}")]
    Multiplier(f64),
    /// There is no tokio runtime for the task of the probe.
    #[error("no tokio runtime to spawn the probe on")]
    NoRuntime,
    /// The operating system could not start the sampler's thread.
    #[error("could not start the sampler's thread: {0:?}")]
    NoThread(std::io::ErrorKind),
}
