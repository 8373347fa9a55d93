//! Plimsoll's circuit breaker, in the callers.

use std::time::Duration;

use http_body_util::Empty;
use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use plimsoll_core::{GateLayer, Http};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{Hints, Limit, Stack};
use crate::backend::Backend;

/// With the default ramp.
pub(super) fn ramp(backend: Backend, _: Hints) -> (Stack, Limit) {
    in_callers(backend, CircuitBreaker::builder())
}

/// All calls are admitted at once after the probes.
pub(super) fn no_ramp(backend: Backend, _: Hints) -> (Stack, Limit) {
    in_callers(backend, CircuitBreaker::builder().ramp(None))
}

fn in_callers(backend: Backend, builder: CircuitBreakerBuilder) -> (Stack, Limit) {
    let breaker = builder.open_for(Duration::from_secs(1)).build();
    let breaker = breaker.expect("settings in bounds");
    let layer = GateLayer::builder(breaker).protocol(Http::client()).build();
    let stack = layer
        .layer(backend)
        .map_response(|res| res.map(|_| Empty::new()));
    (
        BoxCloneService::new(stack.map_err(|never| match never {})),
        None,
    )
}
