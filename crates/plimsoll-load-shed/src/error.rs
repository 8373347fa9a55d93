//! Invalid settings: one error type for each type with settings.

use std::time::Duration;

use plimsoll_core::support::HintOutOfBounds;

/// A setting of a [`LoadShed`](crate::LoadShed) is out of bounds.
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
}

/// A setting of an [`AdaptiveShed`](crate::AdaptiveShed) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAdaptiveShed {
    /// The window is too short to count requests, or too long to react.
    #[error("window must be in 1ms..=1min, got {0:?}")]
    Window(Duration),
    /// The retry hint is zero, or longer than a day.
    #[error("retry_after must be in 1ns..=1 day, got {0:?}")]
    RetryAfter(Duration),
}

/// The capacity of a [`Depth`](crate::Depth) is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("capacity must be at least 1, got 0")]
pub struct InvalidDepth;

/// The objective of a [`QueueDelay`](crate::QueueDelay) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("objective must be in 1us..=1h, got {0:?}")]
pub struct InvalidQueueDelay(pub(crate) Duration);

/// An `ExecutorDelay` could not start.
#[cfg(feature = "executor-delay")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidExecutorDelay {
    /// The objective is too short or too long.
    #[error("objective must be in 1us..=1h, got {0:?}")]
    Objective(Duration),
    /// There is no tokio runtime for the task of the probe.
    #[error("no tokio runtime to spawn the probe on")]
    NoRuntime,
}

/// A `SystemLoad` could not start.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSystemLoad {
    /// An objective is not above 0 and at most 1.
    #[error("{field} must be in (0, 1], got {value}")]
    Share {
        /// The name of the setting.
        field: &'static str,
        /// The rejected value.
        value: f64,
    },
    /// The sampler would run too often or too seldom.
    #[error("interval must be in 10ms..=1min, got {0:?}")]
    Interval(Duration),
    /// The operating system could not start the sampler's thread.
    #[error("could not start the sampler's thread: {0:?}")]
    NoThread(std::io::ErrorKind),
}

impl From<HintOutOfBounds> for InvalidLoadShed {
    fn from(HintOutOfBounds(hint): HintOutOfBounds) -> Self {
        Self::RetryAfter(hint)
    }
}

impl From<HintOutOfBounds> for InvalidAdaptiveShed {
    fn from(HintOutOfBounds(hint): HintOutOfBounds) -> Self {
        Self::RetryAfter(hint)
    }
}
