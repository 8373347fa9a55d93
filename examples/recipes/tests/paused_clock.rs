//! Test an app with a paused clock: limits of hours in milliseconds.
//!
//! ```sh
//! cargo test -p recipes --test paused_clock
//! ```
//!
//! Policies take the time from tokio's clock. `start_paused` stops it, and `advance` moves it, so a
//! test neither waits nor depends on the load of the machine. Call the app as a service, without
//! sockets: a paused clock jumps to the next timer while bytes are on their way.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, http::Request, response::Response, routing::get};
use futures_util::poll;
use http_body_util::BodyExt;
use plimsoll::{
    ClientIp, GateLayer, Missing,
    concurrency::ConcurrencyLimit,
    key::PeerAddr,
    rate_limit::{Quota, RateLimit},
};
use tower::ServiceExt;

/// The app under test: two requests per hour and client, and one at a time.
fn app() -> Router {
    let quota = Quota::per_hour(2).fixed_window();
    let rate = RateLimit::new(quota).expect("valid");
    let rate = rate.per_key(ClientIp::peer(), Missing::REJECT, 1_000);
    let limit = ConcurrencyLimit::new(1).and_then(|limit| limit.queue(1, Duration::from_secs(60)));
    let policies = (rate.expect("valid"), limit.expect("valid"));
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/hang", get(std::future::pending::<()>))
        .layer(GateLayer::new(policies))
}

/// Sends a request from this address. `PeerAddr` in the extensions replaces connect info.
async fn send(app: &Router, path: &str, from: &str) -> Response {
    let address: SocketAddr = from.parse().expect("an address");
    let mut request = Request::get(path).body(Body::empty()).expect("a request");
    request.extensions_mut().insert(PeerAddr(address));
    let sent = app.clone().oneshot(request).await;
    sent.expect("a router returns no error")
}

async fn status(app: &Router, from: &str) -> u16 {
    send(app, "/", from).await.status().as_u16() // the body is dropped here, and its slot released
}

#[tokio::test(start_paused = true)]
async fn a_client_over_its_quota_is_admitted_again_in_the_next_hour() {
    let (app, ann, bob) = (app(), "192.0.2.1:1000", "192.0.2.2:1000");
    assert_eq!(status(&app, ann).await, 200);
    assert_eq!(status(&app, ann).await, 200);
    let rejected = send(&app, "/", ann).await;
    assert_eq!(rejected.status(), 429);
    assert_eq!(rejected.headers()["retry-after"], "3600");
    assert_eq!(status(&app, bob).await, 200);

    tokio::time::advance(Duration::from_secs(3_599)).await;
    assert_eq!(status(&app, ann).await, 429);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(status(&app, ann).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_until_the_body_of_the_one_before_is_read() {
    let app = app();
    let first = send(&app, "/", "192.0.2.1:1000").await;
    let mut second = Box::pin(status(&app, "192.0.2.2:1000"));
    assert!(poll!(&mut second).is_pending()); // it is in the queue now
    assert_eq!(status(&app, "192.0.2.3:1000").await, 503); // the queue is full
    let body = first
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    assert_eq!(body, "hello");
    assert_eq!(second.await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_leaves_the_queue_after_its_longest_wait() {
    let app = app();
    let mut hanging = Box::pin(send(&app, "/hang", "192.0.2.1:1000"));
    assert!(poll!(&mut hanging).is_pending()); // it holds the slot now
    let start = tokio::time::Instant::now();
    // The clock jumps to the end of the wait, since nothing else is left to do.
    assert_eq!(status(&app, "192.0.2.2:1000").await, 503);
    assert_eq!(start.elapsed().as_secs(), 60);
}
