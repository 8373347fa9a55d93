//! Plimsoll's concurrency limits.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use http_body_util::Empty;
use plimsoll_concurrency::{
    Adaptive, Algorithm, Change, ConcurrencyLimit, ConcurrencyLimitHandle, FairShare, Tuning,
    Window, WindowSize,
};
use plimsoll_core::{ByExtension, Deadlines, GateLayer, Http, Keyed, Missing, Policy};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{Hints, Limit, Stack};
use crate::{
    backend::{Backend, Req},
    caller::Key,
    world,
};

/// Whether adaptive limits print their windows: `--windows`.
pub(crate) static PRINT_WINDOWS: AtomicBool = AtomicBool::new(false);

/// The numbers of the adaptive limits: `--tune`, and `sensitivity`.
static TUNING: Mutex<Tuning> = Mutex::new(Tuning::DEFAULT);

/// Runs adaptive limits with these numbers from now on.
pub(crate) fn tune(tuning: Tuning) {
    *TUNING.lock().unwrap_or_else(PoisonError::into_inner) = tuning;
}

/// The numbers of adaptive limits.
pub(crate) fn tuning() -> Tuning {
    *TUNING.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let routes = Keyed::new(route, Missing::Share, 16, move || policy.route())
        .expect("a capacity from 1 on");
    (in_front(backend, routes), Some(limit(handle)))
}

/// An adaptive limit, shared fairly between callers.
pub(super) fn adaptive_fair(backend: Backend, _: Hints) -> (Stack, Limit) {
    let policy = found();
    let handle = policy.handle();
    let share = FairShare::new(policy.handle()).priorities(ByExtension);
    let caller = |req: &Req| req.extensions().get::<Key>().copied();
    let shares = Keyed::new(caller, Missing::Share, 10_000, move || share.cell())
        .expect("a capacity from 1 on");
    (in_front(backend, (shares, policy)), Some(limit(handle)))
}

/// Reads priorities and deadlines of requests; nothing is tuned.
pub(super) fn found() -> ConcurrencyLimit<Deadlines, ByExtension> {
    let tuning = tuning();
    let adaptive = Adaptive::tuned(tuning);
    let policy = if PRINT_WINDOWS.load(Relaxed) {
        ConcurrencyLimit::tuned(Printed(adaptive), tuning)
    } else {
        ConcurrencyLimit::tuned(adaptive, tuning)
    };
    let policy = policy.expect("a limit from 1 on");
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

/// Prints each window to standard error, with the algorithm's change.
#[derive(Debug)]
struct Printed<A>(A);

impl<A: Algorithm> Algorithm for Printed<A> {
    fn initial(&self) -> u32 {
        self.0.initial()
    }

    fn window(&self) -> WindowSize {
        self.0.window()
    }

    fn update(&mut self, w: &Window) -> Change {
        let change = self.0.update(w);
        let seconds = (w.ended - w.began).as_secs_f64();
        eprintln!(
            "{:8.3} s, answered {:5}, {:9.1}/s, {:8.3} ms, cv {:.2}, in flight {:4} ({:7.1}) of {:4}, without a slot {:6}, rejected {:6}: {:?} {:?} p{:?}{:?}",
            world::now() as f64 / 1e9,
            w.answered,
            w.answered as f64 / seconds,
            w.latency.as_secs_f64() * 1e3,
            w.deviation.as_secs_f64() / w.latency.as_secs_f64(),
            w.max_in_flight,
            w.mean_in_flight,
            w.limit,
            w.without_slot,
            w.rejected,
            change.limit,
            change.reason,
            change.queue,
            self.0
        );
        change
    }
}
