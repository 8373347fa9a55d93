//! What is measured.

pub mod bare;
pub mod governor;
pub mod plimsoll;
mod resilience;
mod stacks;
mod tower;

use std::{
    fmt,
    task::{Context, Waker},
};

use ::tower::Service;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;

use self::bare::{Base, Make};
use crate::lane::{End, Lane, TIMERS, Tally, awaited, call, poll, polled, unsent};

/// The body of every request.
pub type Empty = Full<Bytes>;

/// One thing to measure: a service, and what it is compared with.
pub struct Case {
    /// `<who>/<what>@accept` or `@reject`; what others are compared with has no `@`.
    pub name: &'static str,
    /// What is subtracted, and the request.
    pub base: Base,
    /// Waits for a timer at every call, so it can be called a few hundred times, not a few million.
    pub slow: bool,
    lanes: Box<dyn Fn(usize) -> Vec<Lane> + Send + Sync>,
}

impl Case {
    /// A case that is polled without a runtime. Each thread calls its own clone of the service.
    fn new<S, B>(
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
    fn slow<S, B>(
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
    fn unsent(base: Base) -> Self {
        let lanes = move |threads| (0..threads).map(|_| unsent(base.request)).collect();
        Self {
            name: base.unsent,
            base,
            slow: false,
            lanes: Box::new(lanes),
        }
    }

    fn with<S: Clone + 'static>(
        name: &'static str,
        base: Base,
        lane: fn(S, Make) -> Lane,
        service: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let lanes = move |threads| {
            let service = service();
            (0..threads)
                .map(|_| lane(service.clone(), base.request))
                .collect()
        };
        Self {
            name,
            base,
            slow: false,
            lanes: Box::new(lanes),
        }
    }

    /// Fresh lanes, one for each thread, whose services share their state.
    pub fn lanes(&self, threads: usize) -> Vec<Lane> {
        let _entered = TIMERS.enter();
        (self.lanes)(threads)
    }

    /// How its calls end, by its name.
    pub fn end(&self) -> End {
        if self.name.ends_with("@reject") {
            End::Refused
        } else {
            End::Accepted
        }
    }

    /// How many calls of a tally went as the case's name says.
    pub fn right(&self, tally: Tally) -> u64 {
        tally.of(self.end())
    }

    /// Whether they all did. A case that measures something else must not pass for it.
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

/// Every case whose name contains `only`, and the bare services.
pub fn all(only: &str) -> Vec<Case> {
    let mut cases = bare::cases();
    let others = [
        tower::cases(),
        governor::cases(),
        resilience::cases(),
        plimsoll::cases(),
        stacks::cases(),
    ];
    cases.extend(
        others
            .into_iter()
            .flatten()
            .filter(|case| case.name.contains(only)),
    );
    cases
}

/// The service with one call in flight that never ends.
fn occupied<S: Service<Request<Empty>> + Clone>(service: S) -> S {
    let mut handle = service.clone();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        handle.poll_ready(&mut cx).is_ready(),
        "a service without load is ready"
    );
    let mut future = Box::pin(call(&mut handle, bare::endless()));
    assert!(
        poll(future.as_mut(), &mut cx).is_pending(),
        "the bare service does not answer this one"
    );
    std::mem::forget(future);
    service
}

/// The service after one call, which took the whole of a small quota.
fn spent<S, B>(base: Base, service: S) -> S
where
    S: Service<Request<Empty>, Response = Response<B>> + Clone + Send + 'static,
    B: Body + Unpin,
{
    let tally = polled(service.clone(), base.request)(1);
    assert_eq!(tally.accepted, 1, "the first call fits the quota");
    service
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::all;

    #[test]
    fn every_case_does_what_its_name_says() {
        for case in all("") {
            for (thread, mut lane) in case.lanes(2).into_iter().enumerate() {
                let tally = lane(20);
                assert!(
                    case.is_right(tally),
                    "{} on thread {thread}: {tally:?}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn names_are_unique_and_what_they_are_compared_with_exists() {
        let cases = all("");
        let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            assert!(names.contains(case.base.bare) && names.contains(case.base.unsent));
        }
    }
}
