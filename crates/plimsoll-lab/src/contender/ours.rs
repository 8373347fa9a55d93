//! Plimsoll's concurrency limits.

use http_body_util::Empty;
use plimsoll_concurrency::{Adaptive, ConcurrencyLimit, ConcurrencyLimitHandle, FairShare};
use plimsoll_core::{ByExtension, Deadlines, GateLayer, Http, Missing, Policy};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{
    Hints, Limit, Stack,
    watch::{self, Watched},
};
use crate::{
    backend::{Backend, Req},
    caller::Key,
};

pub(super) fn limit(handle: ConcurrencyLimitHandle) -> Box<dyn Fn() -> f64 + Send> {
    Box::new(move || handle.limit() as f64)
}

/// A fixed limit, tuned by hand.
pub(super) fn fixed(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let slots = (hints.slots * hints.tuning).round().max(1.0) as usize;
    let policy = ConcurrencyLimit::new(slots).expect("a limit from 1 on");
    let handle = policy.handle();
    (in_front(backend, policy), Some(limit(handle)))
}

/// An adaptive limit with its defaults.
pub(super) fn adaptive(backend: Backend, _: Hints) -> (Stack, Limit) {
    let policy = found();
    let handle = policy.handle();
    (in_front(backend, policy), Some(limit(handle)))
}

/// An adaptive limit with a latency per route.
pub(super) fn adaptive_routes(backend: Backend, _: Hints) -> (Stack, Limit) {
    let policy = found();
    let handle = policy.handle();
    let route = |req: &Req| req.extensions().get::<Key>().map(|key| key.kind());
    let routes = policy
        .per_route(route, Missing::Share, 16)
        .expect("a capacity from 1 on");
    (in_front(backend, routes), Some(limit(handle)))
}

/// An adaptive limit, shared fairly between callers.
pub(super) fn adaptive_fair(backend: Backend, _: Hints) -> (Stack, Limit) {
    let policy = found();
    let handle = policy.handle();
    let share = FairShare::new(policy.handle()).priorities(ByExtension);
    let caller = |req: &Req| req.extensions().get::<Key>().copied();
    let shares = share
        .per_key(caller, Missing::Share, 10_000)
        .expect("a capacity from 1 on");
    (in_front(backend, (shares, policy)), Some(limit(handle)))
}

/// Reads priorities and deadlines of requests; nothing is tuned.
pub(super) fn found() -> ConcurrencyLimit<Deadlines, ByExtension> {
    let tuning = watch::tuning();
    let watched = Watched(Adaptive::tuned(&tuning));
    let policy = ConcurrencyLimit::tuned(watched, &tuning).expect("a limit from 1 on");
    policy.deadlines(Deadlines::new()).priorities(ByExtension)
}

pub(super) fn in_front<P: Policy<Req> + 'static>(backend: Backend, policy: P) -> Stack {
    let layer: GateLayer<_, Http> = GateLayer::new(policy);
    // The body is empty, and ends with its head.
    let stack = layer
        .layer(backend)
        .map_response(|res| res.map(|_| Empty::new()));
    BoxCloneService::new(stack.map_err(|never| match never {}))
}
