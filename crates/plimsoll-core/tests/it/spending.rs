//! What a call spent: bytes of the body, and the cost that the handler reports.

use std::{convert::Infallible, sync::Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use plimsoll_core::{Class, Cost, GateLayer, Instant, Outcome, Policy, Release, policy::Verdict};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// Records how calls ended: class, bytes, cost.
#[derive(Default)]
struct Ledger(Mutex<Vec<(Class, u64, u64)>>);

impl<Req> Policy<Req> for Ledger {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }
    fn finish(&self, (): (), outcome: &Outcome) {
        let line = (outcome.class, outcome.bytes(), outcome.cost());
        self.0.lock().unwrap().push(line);
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

impl Ledger {
    fn lines(&self) -> Vec<(Class, u64, u64)> {
        self.0.lock().unwrap().clone()
    }
}

/// Three chunks of ten bytes. Each adds 7 to the cost, if any.
fn chunks(cost: Option<Cost>) -> Response<impl http_body::Body<Data = Bytes, Error = Infallible>> {
    let reported = cost.clone();
    let frames = (0..3).map(move |_| {
        if let Some(cost) = &cost {
            cost.add(7);
        }
        Ok(http_body::Frame::data(Bytes::from_static(b"0123456789")))
    });
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    if let Some(cost) = reported {
        response.extensions_mut().insert(cost);
    }
    response
}

#[tokio::test]
async fn a_body_read_to_its_end_has_spent_all_its_bytes() {
    let layer = GateLayer::new(Ledger::default());
    let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(chunks(None)));
    let response = layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(layer.policy().lines(), [(Class::Success, 30, 0)]);
}

#[tokio::test]
async fn a_dropped_body_has_spent_the_bytes_that_were_read() {
    let layer = GateLayer::new(Ledger::default());
    let service =
        service_fn(async |_: Request<()>| Ok::<_, Infallible>(chunks(Some(Cost::new(100)))));
    let response = layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(layer.policy().lines(), [(Class::Success, 10, 107)]);
}

#[tokio::test]
async fn the_cost_is_read_when_the_body_ends() {
    let layer = GateLayer::new(Ledger::default());
    let service =
        service_fn(async |_: Request<()>| Ok::<_, Infallible>(chunks(Some(Cost::new(100)))));
    let response = layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(layer.policy().lines(), []);
    response.into_body().collect().await.unwrap();
    assert_eq!(layer.policy().lines(), [(Class::Success, 30, 121)]);
}

#[tokio::test]
async fn a_call_that_ends_with_its_head_has_the_cost_known_by_then() {
    let layer = GateLayer::new(Ledger::default());
    let service = service_fn(async |_: Request<()>| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"hello")));
        response.extensions_mut().insert(Cost::new(3));
        response.extensions_mut().insert(Release::AtHead);
        Ok::<_, Infallible>(response)
    });
    let response = layer
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(layer.policy().lines(), [(Class::Success, 0, 3)]);
    response.into_body().collect().await.unwrap();
}
