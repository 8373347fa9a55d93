//! Invalid settings, one error type for each type with settings, and the errors of calls.

use std::time::Duration;

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
