//! Priority and deadline of a request, in the headers of the calls made for it.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use http_body_util::Empty;
use plimsoll_client::{CallContext, Downstream};
use plimsoll_core::{Criticality, Deadline, GateLayer, Priority, wire};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

type Body = Empty<bytes::Bytes>;

#[tokio::test(start_paused = true)]
async fn priority_and_deadline_reach_the_callee() {
    let quotes = GateLayer::new(Downstream::new()); // around the client of one other service
    let client = quotes.layer(tower::service_fn(|req: Request<Body>| async move {
        let mut response = Response::new(Body::new());
        *response.headers_mut() = req.headers().clone();
        response.headers_mut().insert(wire::THRESHOLD, 7.into());
        Ok::<_, Infallible>(response)
    }));
    let mut incoming = Request::new(Body::new());
    let priority = Priority::new(Criticality::Sheddable).in_cohort(9);
    incoming.extensions_mut().insert(priority);
    let deadline = Deadline(Instant::now() + Duration::from_millis(250));
    incoming.extensions_mut().insert(deadline);

    let mut outgoing = Request::new(Body::new());
    CallContext::of(&incoming).propagate(&mut outgoing);
    let sent = client.clone().oneshot(outgoing).await.unwrap();
    let header = |name: &str| sent.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("plimsoll-criticality"), "SHEDDABLE");
    assert_eq!(header("plimsoll-cohort"), "009");
    assert_eq!(header("plimsoll-timeout-ms"), "250");
    assert!(!sent.headers().contains_key(wire::THRESHOLD), "removed");

    // Implicitly, in the handler's task.
    let scope = CallContext::of(&incoming);
    let calls = client.oneshot(Request::new(Body::new()));
    let sent = scope.scope(calls).await.unwrap();
    assert_eq!(sent.headers()["plimsoll-cohort"], "009");
}
