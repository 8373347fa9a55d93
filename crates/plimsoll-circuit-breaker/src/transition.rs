//! State transitions, as reported to callbacks.

use std::{fmt, sync::Arc};

use plimsoll_core::support::Callbacks;
use tokio::time::Instant;

use crate::State;

/// A state transition of a breaker.
///
/// See [`CircuitBreakerHandle::on_transition`](crate::CircuitBreakerHandle::on_transition).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state now. Differs from `from`.
    pub to: State,
    /// Why the state changed.
    pub reason: TransitionReason,
    /// When it changed: the time of the request, or of the end of the call, that caused it.
    pub at: Instant,
    /// The generation that it started; see
    /// [`CircuitBreakerHandle::generation`](crate::CircuitBreakerHandle::generation).
    pub generation: u64,
    /// The [label](plimsoll_core::Key::label) of the key, for a breaker
    /// [per key](crate::CircuitBreaker::per_key).
    ///
    /// `overflow` for keys that share a breaker because the table is full. `None` for other
    /// breakers, for keys without a label, and for requests without a key.
    pub key: Option<Arc<str>>,
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransitionReason {
    /// The failures in the window reached the failure rate: to open.
    FailureRate,
    /// The slow calls in the window and in flight reached the slow-call rate: to open.
    SlowRate,
    /// A [handle](crate::CircuitBreakerHandle::trip) opened it.
    Tripped,
    /// A request arrived after the opening had passed: open to half-open.
    OpeningPassed,
    /// A probe failed or was slow: half-open to open.
    ProbeFailed,
    /// Enough probes succeeded: half-open to recovering, or to closed without a ramp.
    ProbesSucceeded,
    /// A request arrived after the ramp had passed: recovering to closed.
    RampPassed,
    /// A [handle](crate::CircuitBreakerHandle) set the state, or ended a state set by hand.
    Set,
    /// The key was evicted from a breaker per key, when its state had no further effect. Should the
    /// key come back, it starts closed.
    Evicted,
}

impl TransitionReason {
    /// A lower-case name for labels and messages, such as `failure-rate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRate => "failure-rate",
            Self::SlowRate => "slow-rate",
            Self::Tripped => "tripped",
            Self::OpeningPassed => "opening-passed",
            Self::ProbeFailed => "probe-failed",
            Self::ProbesSucceeded => "probes-succeeded",
            Self::RampPassed => "ramp-passed",
            Self::Set => "set",
            Self::Evicted => "evicted",
        }
    }
}

impl fmt::Display for TransitionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The callbacks of a breaker.
pub(crate) type TransitionCallbacks = Callbacks<dyn Fn(&Transition) + Send + Sync>;
