//! gRPC clients get statuses, not house ads.

use http::{Method, Request, Response, header::CONTENT_TYPE};
use plimsoll_core::{GateLayer, Kind};
use plimsoll_fallback::{Fallback, Fixed};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{house_ad, obey, reject, see, seen};

fn grpc(status: u16) -> Request<u16> {
    Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, "application/grpc+proto")
        .body(status)
        .unwrap()
}

async fn rejected(fallback: Fallback<Fixed>) -> Response<impl http_body::Body> {
    let layer = GateLayer::builder(reject(Kind::Full))
        .protocol(fallback)
        .build();
    let service = layer.layer(service_fn(obey));
    service.oneshot(grpc(200)).await.unwrap()
}

#[tokio::test]
async fn rejections_of_grpc_requests_stay_grpc_statuses() {
    let answer = rejected(house_ad()).await;
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert!(!answer.headers().contains_key("plimsoll-degraded"));
}

#[tokio::test]
async fn failures_of_grpc_requests_are_unchanged() {
    let service = house_ad().into_layer().layer(service_fn(obey));
    assert_eq!(
        see(service.oneshot(grpc(500)).await).await,
        seen(500, "", "inner")
    );
}

#[tokio::test]
async fn grpc_substitutes_can_be_switched_on() {
    let mut response = Response::new("");
    response
        .headers_mut()
        .insert("grpc-status", "0".parse().unwrap());
    let answer = rejected(Fallback::answer(response).on_grpc(true)).await;
    assert_eq!(answer.headers()["grpc-status"], "0");
    assert!(answer.headers().contains_key("plimsoll-degraded"));
}

#[tokio::test]
async fn other_posts_are_answered() {
    let service = house_ad().into_layer().layer(service_fn(obey));
    let post = Request::post("/").header(CONTENT_TYPE, "application/json");
    assert_eq!(
        see(service.oneshot(post.body(500).unwrap()).await).await,
        seen(200, "failed;status=500", "house ad")
    );
}
