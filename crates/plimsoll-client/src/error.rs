//! Invalid settings, one error type for each type with settings, and the errors of calls.

use std::time::Duration;

use plimsoll_core::support::HintOutOfBounds;

/// A setting of a [`Backoff`](crate::Backoff) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBackoff {
    /// The first wait is zero, or above the maximum.
    #[error("base must be in 1ns..={max:?} (max), got {base:?}")]
    Base {
        /// The rejected value.
        base: Duration,
        /// The maximum.
        max: Duration,
    },
    /// The maximum is above one hour.
    #[error("max must be at most 1h, got {0:?}")]
    Max(Duration),
    /// Waits would shrink, or grow by more than ten.
    #[error("factor must be in 1..=10, got {0}")]
    Factor(f64),
}

/// A setting of a [`RetryBudget`](crate::RetryBudget) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBudget {
    /// The share of retries is zero, above one, or too small to be counted exactly.
    #[error("ratio must be in 0.0001..=1, got {0}")]
    Ratio(f64),
    /// No retry fits the bank, or too many.
    #[error("bank must be in 1..=1000000 retries, got {0}")]
    Bank(u32),
    /// The free retries of a window are too many.
    #[error("at_least must be at most 1000000 retries, got {0}")]
    AtLeast(u32),
    /// The window is too short or too long.
    #[error("window must be in 1s..=1h, got {0:?}")]
    Window(Duration),
    /// Outside of what gRFC A6 allows.
    #[error("max_tokens must be in 1..=1000, got {0}")]
    MaxTokens(u32),
    /// Outside of what gRFC A6 allows, after the fourth decimal is cut off.
    #[error("token_ratio must be in 0.001..=1000, got {0}")]
    TokenRatio(f64),
}

/// A setting of a [`RetryBuilder`](crate::RetryBuilder) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRetry {
    /// No attempt, or more than any callee should receive.
    #[error("max_attempts must be in 1..=100, got {0}")]
    MaxAttempts(u32),
    /// The timeout of an attempt is zero or too long.
    #[error("attempt_timeout must be in 1ns..=1 day, got {0:?}")]
    AttemptTimeout(Duration),
    /// The timeout of a call is zero or too long.
    #[error("total_timeout must be in 1ns..=1 day, got {0:?}")]
    TotalTimeout(Duration),
    /// The ceiling of hints is too long.
    #[error("longest_hint must be at most 1 day, got {0:?}")]
    LongestHint(Duration),
}

/// The error of a call that received no answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimedOut {
    /// The last attempt reached its timeout, and no other was sent.
    #[error("no answer within the attempt's timeout")]
    Attempt,
    /// The deadline of the call has passed.
    #[error("no answer before the call's deadline")]
    Deadline,
}

/// A setting of a [`HedgeBuilder`](crate::HedgeBuilder) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHedge {
    /// No call would be hedged, or all of them.
    #[error("percentile must be in (0, 0.9999], got {0}")]
    Percentile(f64),
    /// The least delay is longer than any answer should take.
    #[error("at_least must be at most 1h, got {0:?}")]
    AtLeast(Duration),
    /// Latencies would count for too short or too long a time.
    #[error("period must be in 1s..=1h, got {0:?}")]
    Period(Duration),
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

impl From<HintOutOfBounds> for InvalidAdaptiveThrottle {
    fn from(HintOutOfBounds(hint): HintOutOfBounds) -> Self {
        Self::RetryAfter(hint)
    }
}
