//! Bounds of settings, and settings out of bounds.

use std::time::Duration;

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
    /// A rate is not above 0 and at most 1.
    #[error("{name} must be in (0, 1], got {rate}")]
    Rate {
        /// The setting: `failure_rate` or `slow_rate`.
        name: &'static str,
        /// The rejected value.
        rate: f64,
    },
    /// `min_calls` is zero or above the window.
    #[error("min_calls must be in 1..={window} (the window), got {min_calls}")]
    MinCalls {
        /// The rejected value.
        min_calls: u32,
        /// The most calls that the window can hold.
        window: u32,
    },
    /// No probe could run, or too many at a time.
    #[error("probes must be in 1..={MAX_PROBES}, got {0}")]
    Probes(u32),
    /// The breaker would close without a success.
    #[error("successes must be at least 1, got 0")]
    Successes,
    /// A duration is zero.
    #[error("{0} must be longer than 0, got 0s")]
    ZeroDuration(&'static str),
    /// The jitter is not a share.
    #[error("jitter must be in 0..=1, got {0}")]
    Jitter(f64),
    /// Openings would get shorter, or the factor is not a finite number.
    #[error("backoff factor must be finite and at least 1, got {0}")]
    BackoffFactor(f64),
    /// The longest opening is shorter than the first.
    #[error("backoff max must be at least open_for ({open_for:?}), got {max:?}")]
    BackoffMax {
        /// The rejected value.
        max: Duration,
        /// The first opening.
        open_for: Duration,
    },
    /// `slow_call` was off when the breaker was built, so calls in flight are not watched.
    #[error("slow_call must be set by the builder before the handle can change it, got {0:?}")]
    SlowCall(Duration),
}
