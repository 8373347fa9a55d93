//! HTTP clients behind a gate: a limit on calls to a callee.

use std::time::Duration;

use axum::{
    Router,
    response::Redirect,
    routing::{any, get},
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plimsoll::{
    GateLayer, Http, PlainError,
    rate_limit::{Quota, RateLimit},
};
use stacks::{Echo, client, gate, one, plain_gate, serve};
use tower::{
    BoxError, Layer as _, Service as _, ServiceBuilder, ServiceExt as _, timeout::TimeoutLayer,
};
use tower_http::{decompression::DecompressionLayer, follow_redirect::FollowRedirectLayer};

type Hyper = Client<HttpConnector, Full<Bytes>>;

fn hyper() -> Hyper {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A server that redirects `/` to `/there`, and the URL of `/`.
async fn redirecting() -> String {
    let app = Router::new()
        .route("/", get(async || Redirect::temporary("/there")))
        .route("/there", any(async || "there"));
    format!("http://{}/", serve(app).await)
}

fn request(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

fn burst(count: u32) -> GateLayer<RateLimit> {
    GateLayer::new(RateLimit::new(Quota::per_hour(1).burst(count)).unwrap())
}

#[tokio::test]
async fn hypers_client_behind_a_gate() {
    let url = redirecting().await;
    let guarded = gate().layer(hyper());
    let admitted = guarded.clone().oneshot(request(&url)).await.unwrap();
    assert_eq!(admitted.status(), StatusCode::TEMPORARY_REDIRECT);
    let rejected = guarded.oneshot(request(&url)).await.unwrap();
    assert_eq!(rejected.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rejected.headers()["plimsoll-rejected-by"], "rate-limit");
}

/// Outside of the gate, each hop needs a permit: two requests for one redirect.
#[tokio::test]
async fn redirects_followed_outside_of_a_gate() {
    let url = redirecting().await;
    let stack = |burst_of| {
        ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(burst(burst_of))
            .service(hyper())
    };
    let arrived = stack(2).oneshot(request(&url)).await.unwrap();
    assert_eq!(
        arrived.into_body().collect().await.unwrap().to_bytes(),
        "there"
    );
    let rejected = stack(1).oneshot(request(&url)).await.unwrap();
    assert_eq!(rejected.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// Inside of the gate, one permit covers all hops.
#[tokio::test]
async fn redirects_followed_inside_of_a_gate() {
    let url = redirecting().await;
    let stack = ServiceBuilder::new()
        .layer(gate())
        .layer(FollowRedirectLayer::new())
        .service(hyper());
    let arrived = stack.clone().oneshot(request(&url)).await.unwrap();
    assert_eq!(
        arrived.into_body().collect().await.unwrap().to_bytes(),
        "there"
    );
    let rejected = stack.oneshot(request(&url)).await.unwrap();
    assert_eq!(rejected.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn answers_decompressed_outside_and_inside_of_a_gate() {
    use tower_http::compression::{CompressionLayer, predicate::SizeAbove};
    let compressed = CompressionLayer::new().compress_when(SizeAbove::new(0));
    let url = format!("http://{}/", serve(compressed.layer(Echo)).await);
    let hello = || Request::post(&url).body(Full::from("hello")).unwrap();

    let outside = ServiceBuilder::new()
        .layer(DecompressionLayer::new())
        .layer(gate())
        .service(hyper());
    let answer = outside.clone().oneshot(hello()).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    assert_eq!(
        outside.oneshot(hello()).await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS
    );

    let inside = ServiceBuilder::new()
        .layer(gate())
        .layer(DecompressionLayer::new())
        .service(hyper());
    let answer = inside.clone().oneshot(hello()).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    assert_eq!(
        inside.oneshot(hello()).await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS
    );
}

/// `reqwest::Client` is a service for `reqwest::Request`, which is not `http::Request`, so the gate
/// uses `Plain`.
#[tokio::test]
async fn reqwests_client_behind_a_gate() {
    let url: reqwest::Url = redirecting().await.parse().unwrap();
    let request = || reqwest::Request::new(reqwest::Method::GET, url.clone());
    let mut guarded = plain_gate().layer(client());
    let admitted = guarded
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(admitted.status(), StatusCode::TEMPORARY_REDIRECT);
    let error = guarded
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    assert_eq!(
        PlainError::rejection_in(&error).unwrap().policy(),
        "rate-limit"
    );

    let mut timed = ServiceBuilder::new()
        .layer(TimeoutLayer::new(Duration::from_mins(1)))
        .layer(plain_gate())
        .service(client());
    assert!(timed.ready().await.unwrap().call(request()).await.is_ok());
    let error: BoxError = timed
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    assert_eq!(
        PlainError::rejection_in(&*error).unwrap().policy(),
        "rate-limit"
    );
}

#[tokio::test]
async fn an_error_of_the_connection_is_the_error_of_the_client() {
    let guarded = GateLayer::builder(one())
        .protocol(Http::new())
        .build()
        .layer(hyper());
    let error = guarded
        .oneshot(request("http://127.0.0.1:1/"))
        .await
        .unwrap_err();
    assert!(error.is_connect());
    let mut guarded = plain_gate().layer(client());
    let request =
        reqwest::Request::new(reqwest::Method::GET, "http://127.0.0.1:1/".parse().unwrap());
    let error = guarded
        .ready()
        .await
        .unwrap()
        .call(request)
        .await
        .unwrap_err();
    assert!(PlainError::rejection_in(&error).is_none());
}
