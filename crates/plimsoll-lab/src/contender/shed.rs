//! Plimsoll's load shedding, which rejects the least important requests first.

use http_body_util::Empty;
use plimsoll_client::AdaptiveThrottle;
use plimsoll_core::{GateLayer, Http, Rejection};
use plimsoll_load_shed::{AdaptiveShed, LoadShed, QueueDelay};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{
    Hints, Limit, Stack,
    ours::{found, in_front, limit},
};
use crate::backend::Backend;

/// The signal of a server that records the queueing delay of its own requests.
pub(super) fn seen_inside() -> QueueDelay {
    let delay = QueueDelay::relative();
    let recorder = delay.clone();
    Backend::on_turn(move |waited, runs| {
        recorder.record_run(runs);
        recorder.record(waited, Instant::now());
    });
    delay
}

/// No limit: the server queues without bound.
pub(super) fn alone(backend: Backend, _: Hints) -> (Stack, Limit) {
    let shed = AdaptiveShed::new(seen_inside());
    (in_front(backend, shed), None)
}

/// With a limit that queues behind it, in one stack.
pub(super) fn with_limit(backend: Backend, _: Hints) -> (Stack, Limit) {
    let (delay, policy) = (QueueDelay::relative(), found());
    let (handle, shed) = (policy.handle(), AdaptiveShed::new(delay.clone()));
    (
        in_front(backend, (delay, shed, policy)),
        Some(limit(handle)),
    )
}

/// A ramp from 0.8 to 1 of the objective.
pub(super) fn ramp(backend: Backend, _: Hints) -> (Stack, Limit) {
    let shed = LoadShed::new(seen_inside());
    (in_front(backend, shed), None)
}

/// The limit, and callers that reject what the limit would reject.
pub(super) fn throttled(backend: Backend, _: Hints) -> (Stack, Limit) {
    let policy = found();
    let handle = policy.handle();
    // There is no wire: removes the extension that a rejection leaves for gates in the same
    // process.
    let server = in_front(backend, policy).map_response(|mut res| {
        res.extensions_mut().remove::<Rejection>();
        res
    });
    let client = GateLayer::builder(AdaptiveThrottle::new())
        .protocol(Http::client())
        .build();
    let stack = client
        .layer(server)
        .map_response(|res| res.map(|_| Empty::new()));
    (BoxCloneService::new(stack), Some(limit(handle)))
}
