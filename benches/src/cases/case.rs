//! A case: a service, its request, and the drivers that call it.

use std::{
    fmt,
    task::{Context, Waker},
};

use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::base::{Base, Empty, Make, endless};
use crate::driver::{Driver, End, TIMERS, Tally, awaited, call, poll, polled, unsent};

/// A service to measure, and its baseline.
pub struct Case {
    /// `<who>/<what>@accept` or `@reject`; baselines have no `@`.
    pub name: &'static str,
    /// The baseline, and the request.
    pub base: Base,
    /// Whether each call waits for a timer: such a case can be called a few hundred times, not a
    /// few million.
    pub slow: bool,
    drivers: Box<dyn Fn(usize) -> Vec<Driver> + Send + Sync>,
}

impl Case {
    /// A case that is polled without a runtime. Each thread calls its own clone of the service.
    pub(super) fn new<S, B>(
        name: &'static str,
        base: Base,
        service: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: Service<Request<Empty>, Response = Response<B>> + Clone + Send + 'static,
        B: Body + Unpin,
    {
        Self::with(name, base, polled::<S, B>, service)
    }

    /// A case whose answer waits for a timer.
    pub(super) fn slow<S, B>(
        name: &'static str,
        base: Base,
        service: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: Service<Request<Empty>, Response = Response<B>> + Clone + Send + 'static,
        B: Body + Unpin,
    {
        Self {
            slow: true,
            ..Self::with(name, base, awaited::<S, B>, service)
        }
    }

    /// The case in which requests are made and dropped.
    pub(super) fn unsent(base: Base) -> Self {
        let drivers = move |threads| (0..threads).map(|_| unsent(base.request)).collect();
        Self {
            name: base.unsent,
            base,
            slow: false,
            drivers: Box::new(drivers),
        }
    }

    fn with<S: Clone + 'static>(
        name: &'static str,
        base: Base,
        driver: fn(S, Make) -> Driver,
        service: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let drivers = move |threads| {
            let service = service();
            (0..threads)
                .map(|_| driver(service.clone(), base.request))
                .collect()
        };
        Self {
            name,
            base,
            slow: false,
            drivers: Box::new(drivers),
        }
    }

    /// New drivers, one for each thread, whose services share their state.
    pub fn drivers(&self, threads: usize) -> Vec<Driver> {
        let _entered = TIMERS.enter();
        (self.drivers)(threads)
    }

    /// How its calls end, by its name.
    pub fn end(&self) -> End {
        if self.name.ends_with("@reject") {
            End::Refused
        } else {
            End::Accepted
        }
    }

    /// How many calls of a tally ended as the name of the case states.
    pub fn right(&self, tally: Tally) -> u64 {
        tally.of(self.end())
    }

    /// Whether all did. A case that measures something else must fail.
    pub fn is_right(&self, tally: Tally) -> bool {
        self.right(tally) == tally.calls()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The service with one call in flight that never ends.
pub(super) fn occupied<S: Service<Request<Empty>> + Clone>(service: S) -> S {
    let mut handle = service.clone();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        handle.poll_ready(&mut cx).is_ready(),
        "a service without load is ready"
    );
    let mut future = Box::pin(call(&mut handle, endless()));
    assert!(
        poll(future.as_mut(), &mut cx).is_pending(),
        "the bare service does not answer this request"
    );
    std::mem::forget(future);
    service
}

/// The service after one call, which spent a small quota.
pub(super) fn spent<S, B>(base: Base, service: S) -> S
where
    S: Service<Request<Empty>, Response = Response<B>> + Clone + Send + 'static,
    B: Body + Unpin,
{
    let tally = polled(service.clone(), base.request)(1);
    assert_eq!(tally.accepted, 1, "the first call fits the quota");
    service
}
