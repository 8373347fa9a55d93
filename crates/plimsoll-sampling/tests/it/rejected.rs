//! Requests that an inner gate rejects are not sampled, and a sampler's 202 is not an answer of the
//! service.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{
    Class, GateLayer, Outcome, Policy, Rejection, policy::Verdict, test_kit::RejectAll,
};
use plimsoll_sampling::{Rates, Sampling};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::Load;

fn sampling(load: f64) -> Sampling<Load> {
    let rates = Rates {
        min: 0.0,
        ..Rates::DEFAULT
    };
    Sampling::new(Load::new(load), rates).expect("valid")
}

async fn answer(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from("answer"))))
}

/// The counterpart with a later policy of the same gate is
/// `a_request_that_a_later_policy_rejects_is_not_counted`.
#[tokio::test]
async fn a_request_that_an_inner_gate_rejects_is_not_counted() {
    for load in [0.0, 2.0] {
        let sampling = sampling(load);
        let handle = sampling.handle();
        let inner = GateLayer::new(RejectAll).layer(service_fn(answer));
        let outer = GateLayer::new(sampling).layer(inner);
        let rejected = outer.oneshot(Request::new(())).await.unwrap();
        assert!(rejected.extensions().get::<Rejection>().is_some());
        _ = rejected.into_body().collect().await;
        assert_eq!((handle.kept(), handle.skipped()), (0, 0), "load {load}");
    }
}

/// Records the class of each call, as a breaker or an adaptive limit does.
#[derive(Default)]
struct Classes(Mutex<Vec<Class>>);

impl<Req> Policy<Req> for Classes {
    type Permit = ();
    type Wait = Infallible;

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Infallible>,
        _: &mut Req,
        _: Instant,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        match *wait {}
    }

    fn abandon(&self, wait: Pin<&mut Infallible>, _: Instant) {
        match *wait {}
    }

    fn finish(&self, (): (), outcome: &Outcome) {
        self.0.lock().unwrap().push(outcome.class);
    }

    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

#[tokio::test]
async fn the_202_of_a_sampler_is_not_a_success_of_the_service() {
    let outer = GateLayer::new(Classes::default());
    for (load, status, class) in [
        (0.0, StatusCode::OK, Class::Success),
        (2.0, StatusCode::ACCEPTED, Class::Rejected),
    ] {
        let inner = GateLayer::new(sampling(load).reject_and_mark()).layer(service_fn(answer));
        let response = outer.layer(inner).oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), status);
        _ = response.into_body().collect().await;
        assert_eq!(outer.policy().0.lock().unwrap().pop(), Some(class));
    }
}
