//! Invalid settings: one error type for each type with settings.

use std::time::Duration;

use plimsoll_core::support::HintOutOfBounds;

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

impl From<HintOutOfBounds> for InvalidAdaptiveThrottle {
    fn from(HintOutOfBounds(hint): HintOutOfBounds) -> Self {
        Self::RetryAfter(hint)
    }
}
