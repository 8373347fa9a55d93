//! Rejections of other services, in answers that this one forwards.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use plimsoll_core::{
    GateLayer, Http, Kind, Rejection,
    protocol::Classify,
    test_kit::{RejectAll, Script, request},
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{sample::send_request, wire::Reject};

/// Returns the headers of a callee's answer, forwarded through a gate with this protocol.
async fn forwarded<C: Classify>(protocol: Http<C>, status: u16, body: &'static str) -> HeaderMap {
    let callee = service_fn(async |_: Request<()>| {
        let answer = Response::builder()
            .status(status)
            .header("plimsoll-rejected-by", "rate-limit")
            .header("retry-after", "7")
            .body(Full::new(Bytes::from_static(body.as_bytes())));
        Ok::<_, Infallible>(answer.unwrap())
    });
    let layer = GateLayer::builder(()).protocol(protocol).build();
    let answer = layer.layer(callee).oneshot(Request::new(())).await.unwrap();
    assert_eq!(answer.status(), status);
    assert_eq!(
        answer.headers()["retry-after"],
        "7",
        "other headers are forwarded"
    );
    answer.headers().clone()
}

#[tokio::test]
async fn the_policy_name_of_another_services_rejection_is_removed() {
    for (status, body) in [
        (503, "{}"),
        (503, ""),
        (429, "{}"),
        (504, "{}"),
        (202, ""),
        // A gRPC status without a body.
        (200, ""),
    ] {
        let headers = forwarded(Http::new(), status, body).await;
        assert!(
            !headers.contains_key("plimsoll-rejected-by"),
            "{status} {body:?}"
        );
    }
}

#[tokio::test]
async fn a_gate_around_a_client_keeps_the_policy_name_of_the_callee() {
    for (status, body) in [(503, "{}"), (200, "")] {
        let headers = forwarded(Http::client(), status, body).await;
        assert_eq!(headers["plimsoll-rejected-by"], "rate-limit", "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_an_inner_gate_keeps_its_policy_name() {
    let stack = tower::layer::layer_fn(|service| {
        GateLayer::new(()).layer(GateLayer::new(RejectAll).layer(service))
    });
    let service = stack.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    }));
    let answer = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(answer.headers()["plimsoll-rejected-by"], "reject-all");

    let own = GateLayer::new(Reject(Rejection::new("mine", Kind::Full)));
    let answer = send_request(&own, request(Script::Body)).await.unwrap();
    assert_eq!(answer.headers()["plimsoll-rejected-by"], "mine");
}
