//! Bounds of settings, and settings out of bounds.

/// Outcomes in the largest window: 8 KiB of bits.
pub(crate) const MAX_WINDOW: u32 = 1 << 16;
/// The largest number of probes at a time.
pub(crate) const MAX_PROBES: u32 = 64;

/// A setting is out of bounds; the message names the setting, the bound and the value.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCircuitBreaker {
    /// The window holds no outcome, or too many.
    #[error("window must be in 1..={MAX_WINDOW} calls, got {0}")]
    Window(u32),
    /// The failure rate is not above 0 and at most 1.
    #[error("failure_rate must be in (0, 1], got {0}")]
    FailureRate(f64),
    /// `min_calls` is zero or above the window.
    #[error("min_calls must be in 1..={window} (the window), got {min_calls}")]
    MinCalls {
        /// The rejected value.
        min_calls: u32,
        /// The size of the window.
        window: u32,
    },
    /// No probe could run, or too many at a time.
    #[error("probes must be in 1..={MAX_PROBES}, got {0}")]
    Probes(u32),
    /// The breaker would close without a success.
    #[error("successes must be at least 1, got 0")]
    Successes,
    /// A duration is zero.
    #[error("{0} must be longer than 0")]
    ZeroDuration(&'static str),
    /// The jitter is not a share.
    #[error("jitter must be in 0..=1, got {0}")]
    Jitter(f64),
    /// Openings would get shorter, or the factor is not a finite number.
    #[error("backoff factor must be finite and at least 1, got {0}")]
    BackoffFactor(f64),
    /// The longest opening is shorter than the first.
    #[error("backoff max must be at least open_for")]
    BackoffMax,
}
