//! What a breaker refuses to be built from.

use crate::settings::{MAX_PROBES, MAX_WINDOW};

/// A setting is out of bounds: which, and what the bound is.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBreaker {
    /// The window holds no outcome, or too many.
    #[error("window is {0}, but must be 1 to {MAX_WINDOW} calls")]
    Window(u32),
    /// The failure rate is not a share, or always reached.
    #[error("failure_rate is {0}, but must be above 0 and at most 1")]
    FailureRate(f64),
    /// The window can never hold that many calls, or none are asked for.
    #[error("min_calls is {min_calls}, but must be 1 to {window}, the window")]
    MinCalls {
        /// What was asked for.
        min_calls: u32,
        /// The size of the window.
        window: u32,
    },
    /// Nobody could ever find out that the service is well again, or a crowd would.
    #[error("probes is {0}, but must be 1 to {MAX_PROBES}")]
    Probes(u32),
    /// The breaker would close without a single success.
    #[error("successes is 0, but must be at least 1")]
    Successes,
    /// A duration that must have a length has none.
    #[error("{0} is zero, but must be longer")]
    ZeroDuration(&'static str),
    /// The jitter is not a share.
    #[error("jitter is {0}, but must be 0 to 1")]
    Jitter(f64),
    /// Successive openings would get shorter, or are no number.
    #[error("backoff factor is {0}, but must be a finite number of at least 1")]
    BackoffFactor(f64),
    /// The longest opening is shorter than the first.
    #[error("backoff max is shorter than open_for")]
    BackoffMax,
}
