//! Plimsoll's load shedding: who is refused when not all can be served.

use std::time::Duration;

use http_body_util::Empty;
use plimsoll_core::{GateLayer, Http};
use plimsoll_load_shed::{AdaptiveShed, AdaptiveThrottle, LoadShed, QueueDelay};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{
    Hints, Limit, Stack,
    ours::{found, in_front, limit},
};
use crate::backend::Backend;

/// What the documentation says to write.
pub(super) fn signal() -> QueueDelay {
    if std::env::var_os("FIXED").is_some() {
        return QueueDelay::mean(Duration::from_millis(20)).expect("an objective that can be one");
    }
    QueueDelay::relative()
}

/// The signal, told by a server that sees what its own requests wait.
pub(super) fn seen_inside(backend: Backend) -> QueueDelay {
    let delay = signal();
    let told = delay.clone();
    backend.on_turn(move |waited, runs| {
        told.record_run(runs);
        told.record(waited, Instant::now());
    });
    delay
}

/// No limit: the server queues what it is given, without bound.
pub(super) fn alone(backend: Backend, _: Hints) -> (Stack, Limit) {
    let shed = AdaptiveShed::new(seen_inside(backend));
    (in_front(backend, shed), None)
}

/// With the limit that makes requests wait behind it, in one stack.
pub(super) fn with_limit(backend: Backend, _: Hints) -> (Stack, Limit) {
    let (delay, policy) = (signal(), found());
    let (handle, shed) = (policy.handle(), AdaptiveShed::new(delay.clone()));
    (
        in_front(backend, (delay, shed, policy)),
        Some(limit(handle)),
    )
}

/// A ramp from 0.8 to 1 of the objective.
pub(super) fn ramp(backend: Backend, _: Hints) -> (Stack, Limit) {
    let shed = LoadShed::new(seen_inside(backend));
    (in_front(backend, shed), None)
}

/// The limit, and callers that hold back what it would refuse.
pub(super) fn throttled(backend: Backend, _: Hints) -> (Stack, Limit) {
    let policy = found();
    let handle = policy.handle();
    let client: GateLayer<_, Http> = GateLayer::new(AdaptiveThrottle::new());
    let stack = client
        .layer(in_front(backend, policy))
        .map_response(|res| res.map(|_| Empty::new()));
    (BoxCloneService::new(stack), Some(limit(handle)))
}
