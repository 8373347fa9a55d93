//! tower-acc, under tower's `LoadShed`, since it only has backpressure. With its defaults, and
//! wide: see [`resilience`](super::resilience).

use std::time::Duration;

use tower::{ServiceBuilder, ServiceExt, util::BoxCloneService};
use tower_acc::{Aimd, Algorithm, ConcurrencyLimitLayer, Gradient2, Vegas};

use super::{Hints, Limit, Refused, Stack, stack::WIDE};
use crate::backend::Backend;

pub(super) fn aimd(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Aimd::default())
}

/// A minimum of 2: from a limit of 1 it never grows again.
pub(super) fn aimd_wide(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let late = Duration::from_secs_f64(hints.deadline / 2.0);
    let aimd = Aimd::builder().min_limit(2).max_limit(WIDE).timeout(late);
    stack(backend, aimd.build())
}

pub(super) fn vegas(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Vegas::default())
}

pub(super) fn vegas_wide(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Vegas::builder().max_limit(WIDE).build())
}

pub(super) fn gradient2(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Gradient2::default())
}

pub(super) fn gradient2_wide(backend: Backend, _: Hints) -> (Stack, Limit) {
    let gradient2 = Gradient2::builder().min_limit(1).max_limit(WIDE);
    stack(backend, gradient2.build())
}

fn stack<A: Algorithm + Clone + Send + 'static>(backend: Backend, algorithm: A) -> (Stack, Limit) {
    let stack = ServiceBuilder::new()
        .load_shed()
        .layer(ConcurrencyLimitLayer::new(algorithm))
        .service(backend);
    (BoxCloneService::new(stack.map_err(|_| Refused)), None)
}
