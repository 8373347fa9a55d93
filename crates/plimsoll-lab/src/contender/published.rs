//! Plimsoll's other algorithms, corrected, with their defaults.

use http_body_util::Empty;
use plimsoll_concurrency::{Aimd, Algorithm, ConcurrencyLimit, Gradient2, Vegas};
use plimsoll_core::{GateLayer, Http};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{Hints, Limit, Stack};
use crate::backend::Backend;

pub(super) fn aimd(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Aimd::new())
}

pub(super) fn vegas(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Vegas::new())
}

pub(super) fn gradient2(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Gradient2::new())
}

fn stack(backend: Backend, algorithm: impl Algorithm + 'static) -> (Stack, Limit) {
    let policy = ConcurrencyLimit::with_algorithm(algorithm).expect("defaults");
    let handle = policy.handle();
    let layer: GateLayer<_, Http> = GateLayer::new(policy);
    let stack = layer
        .layer(backend)
        .map_response(|res| res.map(|_| Empty::new()))
        .map_err(|never| match never {});
    (
        BoxCloneService::new(stack),
        Some(Box::new(move || handle.limit() as f64)),
    )
}
