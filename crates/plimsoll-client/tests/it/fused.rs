//! Policies before a policy or a gate that rejects: requests that are rejected later are not
//! counted.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_client::{AdaptiveThrottle, Downstream};
use plimsoll_core::{
    Criticality, GateLayer, Kind, Outcome, Policy, Rejection, policy::Verdict, wire,
};
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _};

use crate::within_a_minute;

type Body = Empty<bytes::Bytes>;

/// Rejects while it is set.
#[derive(Clone, Default)]
struct Shut(Arc<AtomicBool>);

impl Shut {
    fn set(&self, shut: bool) {
        self.0.store(shut, Relaxed);
    }
}

impl<Req> Policy<Req> for Shut {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        if self.0.load(Relaxed) {
            Verdict::Reject(Rejection::new("shut", Kind::Full))
        } else {
            Verdict::Admit(())
        }
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

/// Calls through `policy` and then an inner gate that rejects everything.
async fn rejected_by_an_inner_gate<P: Policy<Request<Body>> + 'static>(policy: P, calls: usize) {
    let shut = Shut::default();
    shut.set(true);
    let inner = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let gate: GateLayer<_> = GateLayer::new(shut);
    let gate = GateLayer::new(policy).layer(gate.layer(inner).map_response(|response| {
        let (head, _) = response.into_parts();
        Response::from_parts(head, Body::new())
    }));
    for _ in 0..calls {
        let call = gate.clone().oneshot(Request::new(Body::new()));
        let answer = within_a_minute(call).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// One call through `policy` and then `shut`: the policy that rejected it, if any. The callee
/// announces a threshold of 511.
async fn call<P: Policy<Request<Body>> + 'static>(
    layer: &GateLayer<(P, Shut)>,
) -> Option<&'static str> {
    let service = layer.layer(tower::service_fn(|_: Request<Body>| async {
        let mut response = Response::new(Body::new());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(wire::THRESHOLD, 511.into());
        Ok::<_, Infallible>(response)
    }));
    let call = service.oneshot(Request::new(Body::new()));
    let answer = within_a_minute(call).await.unwrap();
    let rejection = answer.extensions().get::<Rejection>();
    rejection.map(Rejection::policy)
}

#[tokio::test(start_paused = true)]
async fn law_03_calls_that_a_later_policy_rejects_are_not_sent() {
    let (downstream, shut) = (Downstream::new(), Shut::default());
    let handle = downstream.handle();
    let layer = GateLayer::new((downstream, shut.clone()));
    assert_eq!(call(&layer).await, None);
    shut.set(true);
    for _ in 0..5 {
        assert_eq!(call(&layer).await, Some("shut"));
    }
    assert_eq!(handle.sent(Criticality::Critical), 1);
}

#[tokio::test(start_paused = true)]
async fn law_03_a_probe_that_a_later_policy_rejects_is_refunded() {
    let (downstream, shut) = (Downstream::new(), Shut::default());
    let handle = downstream.handle();
    let layer = GateLayer::new((downstream, shut.clone()));
    for _ in 0..4 {
        assert_eq!(call(&layer).await, None);
    }
    assert_eq!(call(&layer).await, Some("downstream"));
    advance(Duration::from_secs(1)).await;
    shut.set(true);
    for _ in 0..3 {
        assert_eq!(
            call(&layer).await,
            Some("shut"),
            "each is the probe, and is revoked"
        );
    }
    shut.set(false);
    assert_eq!(call(&layer).await, None, "the probe");
    assert_eq!(call(&layer).await, Some("downstream"));
    assert_eq!(handle.sent(Criticality::Critical), 5);
    assert_eq!(handle.shed(Criticality::Critical), 2);
}

#[tokio::test(start_paused = true)]
async fn law_03_requests_that_a_later_policy_rejects_are_not_counted_as_admitted() {
    let (throttle, shut) = (AdaptiveThrottle::new(), Shut::default());
    shut.set(true);
    let handle = throttle.handle();
    let layer = GateLayer::new((throttle, shut));
    for _ in 0..20 {
        assert_eq!(call(&layer).await, Some("shut"));
    }
    assert_eq!(handle.admitted(Criticality::Critical), 0);
    assert_eq!(handle.requests(Criticality::Critical, Instant::now()), 0);
}

#[tokio::test(start_paused = true)]
async fn law_03_calls_that_an_inner_gate_rejects_are_not_counted() {
    let (downstream, throttle) = (Downstream::new(), AdaptiveThrottle::new());
    let (sent, counted) = (downstream.handle(), throttle.handle());
    rejected_by_an_inner_gate((downstream, throttle), 100).await;
    assert_eq!(sent.sent(Criticality::Critical), 0);
    let now = Instant::now();
    assert_eq!(counted.requests(Criticality::Critical, now), 0);
    assert_eq!(counted.shed(Criticality::Critical), 0);
}
