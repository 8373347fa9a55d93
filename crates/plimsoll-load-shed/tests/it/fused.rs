//! Policies before a policy or a gate that rejects: requests that are rejected later are not
//! counted.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::{Request, Response};
use http_body_util::Empty;
use plimsoll_core::{Criticality, GateLayer, Kind, Outcome, Policy, Rejection, policy::Verdict};
use plimsoll_load_shed::{AdaptiveShed, LoadShed};
use tokio::time::Instant;
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

/// One call through `policy` and then `shut`: the policy that rejected it, if any.
async fn call<P: Policy<Request<Body>> + 'static>(
    layer: &GateLayer<(P, Shut)>,
) -> Option<&'static str> {
    let service = layer.layer(tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::new()))
    }));
    let call = service.oneshot(Request::new(Body::new()));
    let answer = within_a_minute(call).await.unwrap();
    let rejection = answer.extensions().get::<Rejection>();
    rejection.map(Rejection::policy)
}

#[tokio::test(start_paused = true)]
async fn law_03_requests_that_a_later_policy_rejects_are_not_counted_as_admitted() {
    let shut = Shut::default();
    shut.set(true);
    let (one, two) = (LoadShed::new(|| 0.0), AdaptiveShed::new(|| 0.0));
    let (handle_1, handle_2) = (one.handle(), two.handle());
    let layer = GateLayer::new(((one, two), shut));
    for _ in 0..20 {
        assert_eq!(call(&layer).await, Some("shut"));
    }
    let counts = [
        handle_1.admitted(Criticality::Critical),
        handle_2.admitted(Criticality::Critical),
    ];
    assert_eq!(counts, [0; 2]);
}
