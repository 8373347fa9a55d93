//! Events of `tracing`.

use crate::{State, Transition};

/// The target of all events.
const TARGET: &str = "plimsoll::circuit_breaker";

/// Emits an event for a transition: a warning when the breaker opens, information otherwise.
pub(crate) fn event(of: &Transition) {
    let (from, to, reason) = (of.from.as_str(), of.to.as_str(), of.reason.as_str());
    let (generation, key) = (of.generation, of.key.as_deref());
    if matches!(of.to, State::Open | State::ForcedOpen) {
        tracing::warn!(target: TARGET, from, to, reason, generation, key, "circuit breaker opened");
    } else {
        tracing::info!(target: TARGET, from, to, reason, generation, key, "circuit breaker changed");
    }
}
