//! Which side the body waits for, as the gate reports it to policies.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use plimsoll_core::{
    Choose, GateLayer, Handover, Keyed, Missing, Outcome, Policy, Shadow, When,
    policy::{Interests, Then, Verdict, WaitsOn},
    test_kit::Audited,
};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use WaitsOn::{Caller, Service};

type Log = Arc<Mutex<Vec<WaitsOn>>>;

/// Keeps the reports in the permit, and logs them when the permit ends.
#[derive(Clone, Default)]
struct Watching(Log);

impl Policy<Request<()>> for Watching {
    type Permit = Vec<WaitsOn>;
    plimsoll_core::decides_at_once!(Request<()>);

    fn admit(&self, _: &mut Request<()>, _: Instant) -> Verdict<Vec<WaitsOn>, Infallible> {
        Verdict::Admit(Vec::new())
    }
    fn finish(&self, permit: Vec<WaitsOn>, _: &Outcome) {
        self.0.lock().unwrap().extend(permit);
    }
    fn revoke(&self, _: Vec<WaitsOn>, _: Instant, _: Instant) {}
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_body_waits(true)
    }
    fn body_waits(&self, permit: &mut Vec<WaitsOn>, on: WaitsOn) {
        permit.push(on);
    }
}

impl plimsoll_core::policy::Evictable for Watching {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// A body whose next frame is ready (`true`) or pending (`false`).
struct Steps(VecDeque<bool>);

impl Body for Steps {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(false) => Poll::Pending,
            Some(true) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data"))))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the reports about a call with this body, polled to its end.
async fn reports(
    policy: impl Policy<Request<()>> + 'static,
    log: &Log,
    steps: &[bool],
) -> Vec<WaitsOn> {
    let steps: VecDeque<bool> = steps.iter().copied().collect();
    let inner = tower::service_fn(move |_: Request<()>| {
        let body = Steps(steps.clone());
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let gate = GateLayer::new(policy).layer(inner);
    let mut body = gate.oneshot(Request::new(())).await.unwrap().into_body();
    let mut cx = Context::from_waker(Waker::noop());
    while !body.is_end_stream() {
        _ = Pin::new(&mut body).poll_frame(&mut cx);
    }
    std::mem::take(&mut log.lock().unwrap())
}

#[tokio::test]
async fn the_body_waits_for_the_caller_after_each_frame_and_for_the_service_while_pending() {
    let policy = Watching::default();
    let log = Arc::clone(&policy.0);
    for (steps, turns) in [
        (&[true][..], &[Caller][..]),
        (&[true, true], &[Caller, Caller]),
        (&[false, true], &[Caller, Service]),
        (
            &[false, false, true, false, true],
            &[Caller, Service, Service, Caller, Service],
        ),
    ] {
        assert_eq!(
            reports(policy.clone(), &log, steps).await,
            turns,
            "{steps:?}"
        );
    }
}

#[tokio::test]
async fn a_call_without_a_body_ends_with_its_head() {
    let policy = Watching::default();
    let log = Arc::clone(&policy.0);
    assert_eq!(reports(policy.clone(), &log, &[]).await, [Caller]);

    let inner = tower::service_fn(|request: Request<()>| async move {
        let mut response = Response::new(Steps(VecDeque::from([true])));
        if request.method() == Method::GET {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        Ok::<_, Infallible>(response)
    });
    let layer = GateLayer::new(policy);
    for method in [Method::HEAD, Method::GET] {
        let mut request = Request::new(());
        *request.method_mut() = method;
        drop(layer.layer(inner).oneshot(request).await);
    }
    assert_eq!(*log.lock().unwrap(), [Caller; 2]);
}

#[tokio::test]
async fn a_handed_over_permit_waits_for_the_service() {
    let policy = Watching::default();
    let log = Arc::clone(&policy.0);
    let (handover, claim) = Handover::pair();
    let inner = tower::service_fn(move |_: Request<()>| {
        let mut response = Response::new(Steps(VecDeque::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.extensions_mut().insert(handover.clone());
        async { Ok::<_, Infallible>(response) }
    });
    let gate = GateLayer::new(policy).layer(inner);
    drop(gate.oneshot(Request::new(())).await);
    assert_eq!(*log.lock().unwrap(), [], "the permit has not ended");
    drop(claim);
    assert_eq!(*log.lock().unwrap(), [Caller, Service]);
}

#[tokio::test]
async fn every_combinator_forwards_body_waits() {
    let policy = Watching::default();
    let log = Arc::clone(&policy.0);
    let one = || policy.clone();
    let keyed = {
        let policy = policy.clone();
        let key = |_: &Request<()>| Some(7_u32);
        Keyed::new(key, Missing::Share, 512, move || policy.clone()).unwrap()
    };
    let steps = [false, true];
    let turns = [Caller, Service];
    assert_eq!(reports(Arc::new(one()), &log, &steps).await, turns);
    assert_eq!(reports(Some(one()), &log, &steps).await, turns);
    assert_eq!(reports(((), one()), &log, &steps).await, turns);
    assert_eq!(reports((one(),), &log, &steps).await, turns);
    assert_eq!(reports(Then((), one()), &log, &steps).await, turns);
    assert_eq!(reports(Then(one(), ()), &log, &steps).await, turns);
    assert_eq!(reports(Shadow::new(one()), &log, &steps).await, turns);
    assert_eq!(reports(Audited::new(one()), &log, &steps).await, turns);
    assert_eq!(reports(keyed, &log, &steps).await, turns);
    let always = |_: &Request<()>| true;
    assert_eq!(reports(When::new(always, one()), &log, &steps).await, turns);
    let first = |_: &Request<()>| Some(0);
    assert_eq!(
        reports(Choose::new(first, [one()], one()), &log, &steps).await,
        turns
    );
    let both = reports((one(), one()), &log, &steps).await;
    assert_eq!(both, [turns, turns].concat());
}

/// Logs reports, although it does not ask to watch bodies.
struct Blind(Log);

impl Policy<Request<()>> for Blind {
    type Permit = ();
    plimsoll_core::decides_at_once!(Request<()>);

    fn admit(&self, _: &mut Request<()>, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
    fn interests(&self, _: Interests) -> Interests {
        Interests::ALL.with_body_waits(false)
    }
    fn body_waits(&self, (): &mut (), on: WaitsOn) {
        self.0.lock().unwrap().push(on);
    }
}

#[tokio::test]
async fn a_stack_that_watches_no_bodies_gets_no_reports() {
    let log = Log::default();
    let blind = Blind(Arc::clone(&log));
    assert_eq!(reports(blind, &log, &[false, true, true]).await, []);
}

#[tokio::test]
async fn a_panic_while_a_body_waits_loses_no_permit() {
    struct Panics(Log);
    impl Policy<Request<()>> for Panics {
        type Permit = ();
        plimsoll_core::decides_at_once!(Request<()>);

        fn admit(&self, _: &mut Request<()>, _: Instant) -> Verdict<(), Infallible> {
            Verdict::Admit(())
        }
        fn finish(&self, (): (), _: &Outcome) {
            self.0.lock().unwrap().push(Caller);
        }
        fn revoke(&self, (): (), _: Instant, _: Instant) {}
        fn body_waits(&self, (): &mut (), on: WaitsOn) {
            assert_eq!(on, Caller, "the panic of this test");
        }
    }
    let log = Log::default();
    let policy = Panics(Arc::clone(&log));
    let task = tokio::spawn(async move {
        let inner = tower::service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Steps(VecDeque::from([false, true]))))
        });
        let gate = GateLayer::new(policy).layer(inner);
        let mut body = gate.oneshot(Request::new(())).await.unwrap().into_body();
        poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(*log.lock().unwrap(), [Caller], "finished once");
}
