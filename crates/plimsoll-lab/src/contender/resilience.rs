//! tower-resilience's adaptive limiter, under tower's `LoadShed`, since it only has backpressure.
//!
//! With its defaults; and wide, with a maximum above any server of the lab, and half the deadline
//! as the latency threshold.

use std::time::Duration;

use tower::{ServiceBuilder, ServiceExt, util::BoxCloneService};
use tower_resilience_adaptive::{
    AdaptiveLimiterLayer, Aimd, ConcurrencyAlgorithm, Gradient2, Vegas,
};

use super::{Hints, Limit, Refused, Stack, stack::WIDE};
use crate::backend::Backend;

pub(super) fn aimd(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Aimd::builder().build().expect("defaults"))
}

pub(super) fn aimd_wide(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let late = Duration::from_secs_f64(hints.deadline / 2.0);
    let aimd = Aimd::builder().max_limit(WIDE).latency_threshold(late);
    stack(backend, aimd.build().expect("valid"))
}

pub(super) fn vegas(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Vegas::builder().build().expect("defaults"))
}

pub(super) fn vegas_wide(backend: Backend, _: Hints) -> (Stack, Limit) {
    let vegas = Vegas::builder().max_limit(WIDE);
    stack(backend, vegas.build().expect("valid"))
}

pub(super) fn gradient2(backend: Backend, _: Hints) -> (Stack, Limit) {
    stack(backend, Gradient2::builder().build().expect("defaults"))
}

pub(super) fn gradient2_wide(backend: Backend, _: Hints) -> (Stack, Limit) {
    let gradient2 = Gradient2::builder().max_limit(WIDE);
    stack(backend, gradient2.build().expect("valid"))
}

fn stack(backend: Backend, algorithm: impl ConcurrencyAlgorithm + 'static) -> (Stack, Limit) {
    let limiter = ServiceBuilder::new()
        .layer(AdaptiveLimiterLayer::new(algorithm))
        .service(backend);
    let meter = limiter.clone();
    let stack = ServiceBuilder::new().load_shed().service(limiter);
    (
        BoxCloneService::new(stack.map_err(|_| Refused)),
        Some(Box::new(move || meter.limit() as f64)),
    )
}
