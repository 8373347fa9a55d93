//! Plimsoll.

use http_body_util::Empty;
use plimsoll_concurrency::{Concurrency, ConcurrencyHandle};
use plimsoll_core::{GateLayer, Http};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{Hints, Limit, Stack};
use crate::backend::Backend;

fn limit(handle: ConcurrencyHandle) -> Box<dyn Fn() -> f64 + Send> {
    Box::new(move || handle.limit() as f64)
}

/// A fixed limit, tuned by hand.
pub(super) fn fixed(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let slots = (hints.slots * hints.tuning).round().max(1.0) as usize;
    let policy = Concurrency::new(slots).expect("a limit from 1 on");
    let handle = policy.handle();
    let layer: GateLayer<_, Http> = GateLayer::new(policy);
    // The body is empty, and over with its head.
    let stack = layer
        .layer(backend)
        .map_response(|res| res.map(|_| Empty::new()));
    let stack = stack.map_err(|never| match never {});
    (BoxCloneService::new(stack), Some(limit(handle)))
}

/// A limit that finds itself, with nothing set.
pub(super) fn adaptive(backend: Backend, hints: Hints) -> (Stack, Limit) {
    fixed(backend, hints)
}
