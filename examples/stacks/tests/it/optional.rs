//! Gates and policies that a setting turns on.

use axum::{Router, routing::any};
use plimsoll::{
    GateLayer, Plain, PlainError, concurrency::ConcurrencyLimit, rate_limit::RateLimit,
};
use stacks::{Echo, Shout, check, gate, one, post, serve};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};

/// `None` admits everything.
fn switched(enabled: bool) -> GateLayer<Option<RateLimit>> {
    GateLayer::new(enabled.then(one))
}

async fn admits_two<S, B>(stack: S)
where
    S: tower::Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<B>,
            Error: Into<tower::BoxError>,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
    B: axum::body::HttpBody<Data = bytes::Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    let address = serve(stack).await;
    for _ in 0..2 {
        assert_eq!(post(address, "hello").await.status, 200);
    }
}

#[tokio::test]
async fn a_policy_that_a_setting_turns_on() {
    check(switched(true).layer(Echo)).await;
    admits_two(switched(false).layer(Echo)).await;
    let app = || Router::new().route("/", any(async |body: String| body));
    check(app().layer(switched(true))).await;
    admits_two(app().layer(switched(false))).await;
}

#[tokio::test]
async fn one_policy_of_several_that_a_setting_turns_on() {
    let fused = |enabled: bool| {
        GateLayer::new((enabled.then(one), ConcurrencyLimit::new(64).unwrap())).layer(Echo)
    };
    check(fused(true)).await;
    admits_two(fused(false)).await;
}

#[tokio::test]
async fn a_plain_gate_that_a_setting_turns_on() {
    let gate = |enabled: bool| {
        GateLayer::builder(enabled.then(one))
            .protocol(Plain::new())
            .build()
    };
    let on = gate(true).layer(Shout);
    assert_eq!(on.clone().oneshot("hello").await.unwrap(), "HELLO");
    let error = on.oneshot("hello").await.unwrap_err();
    assert_eq!(
        PlainError::rejection_in(&error).unwrap().policy(),
        "rate-limit"
    );
    let off = gate(false).layer(Shout);
    for _ in 0..2 {
        assert_eq!(off.clone().oneshot("hello").await.unwrap(), "HELLO");
    }
}

/// axum-extra's `option_layer` gives axum's body to the responses of both sides.
#[tokio::test]
async fn a_layer_that_a_setting_turns_on_in_a_router() {
    use axum_extra::middleware::option_layer;
    let app = |enabled: bool| {
        let layer = option_layer(enabled.then(gate));
        Router::new()
            .route("/", any(async |body: String| body))
            .layer(layer)
    };
    check(app(true)).await;
    admits_two(app(false)).await;
}

/// tower's `option_layer` needs the same response type on both sides, so the gate's body is
/// converted to the inner service's type.
#[tokio::test]
async fn a_layer_that_a_setting_turns_on_in_a_service_builder() {
    use axum::body::Body;
    use tower_http::map_response_body::MapResponseBodyLayer;
    let stack = |enabled: bool| {
        let gate = enabled.then(|| (MapResponseBodyLayer::new(Body::new), gate()));
        ServiceBuilder::new().option_layer(gate).service(Echo)
    };
    check(stack(true)).await;
    admits_two(stack(false)).await;
}
