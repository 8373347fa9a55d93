//! Invalid settings: one error type for each type with settings.

use std::time::Duration;

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

/// A setting of an [`AdaptiveThrottle`](crate::AdaptiveThrottle) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAdaptiveThrottle {
    /// The factor of accepts is below 1 or above 100. Below 1, a callee that accepts every request
    /// would be sent less and less.
    #[error("multiplier must be in 1..=100, got {0}")]
    Multiplier(f64),
    /// The largest share of rejections is not above 0 and at most 1.
    #[error("max_rejection must be in (0, 1], got {0}")]
    MaxRejection(f64),
    /// The window is too short or too long.
    #[error("window must be in 1s..=1h, got {0:?}")]
    Window(Duration),
    /// The retry hint is zero, or longer than a day.
    #[error("retry_after must be in 1ns..=1 day, got {0:?}")]
    RetryAfter(Duration),
}

/// A setting of a [`Downstream`](crate::Downstream) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDownstream {
    /// A threshold stays in force for too short or too long a time.
    #[error("expires must be in 1ms..=1h, got {0:?}")]
    Expires(Duration),
    /// The period of probes is too short or too long.
    #[error("probe_every must be in 1ms..=1h, got {0:?}")]
    ProbeEvery(Duration),
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

/// A retry hint that is zero or longer than a day, before it is known whose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HintOutOfBounds(pub(crate) Duration);

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

impl From<HintOutOfBounds> for InvalidAdaptiveThrottle {
    fn from(HintOutOfBounds(hint): HintOutOfBounds) -> Self {
        Self::RetryAfter(hint)
    }
}
