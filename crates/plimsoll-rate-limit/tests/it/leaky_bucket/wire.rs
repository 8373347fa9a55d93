//! Responses as callers see them.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use plimsoll_core::{GateLayer, Rejection};
use plimsoll_rate_limit::{LeakyBucket, LeakyBucketLayer, Quota, RateLimit};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::ms;

type Body = http_body_util::Empty<bytes::Bytes>;

async fn hello(_: Request<()>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::new()))
}

#[tokio::test(start_paused = true)]
async fn requests_are_queued_and_one_over_the_queue_is_429_with_the_wait() {
    let bucket = LeakyBucket::new(1, ms(1500)).and_then(|bucket| bucket.max_wait(ms(2000)));
    let layer: LeakyBucketLayer = LeakyBucketLayer::new(bucket.expect("valid"));
    let service = layer.layer(service_fn(hello));
    let get = || service.clone().oneshot(Request::new(()));
    let start = Instant::now();
    assert_eq!(get().await.expect("infallible").status(), StatusCode::OK);
    let waiting = tokio::spawn(get());
    tokio::task::yield_now().await;

    let rejected = get().await.expect("infallible");
    assert_eq!(rejected.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rejected.headers()["retry-after"], "1");
    assert_eq!(rejected.headers()["plimsoll-rejected-by"], "leaky-bucket");
    let rejection = rejected.extensions().get::<Rejection>();
    assert_eq!(rejection.and_then(Rejection::retry_after), Some(ms(1000)));

    let waited = waiting.await.expect("no panic").expect("infallible");
    assert_eq!(
        (waited.status(), start.elapsed()),
        (StatusCode::OK, ms(1500))
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_later_policy_rejects_delays_no_other() {
    let bucket = LeakyBucket::new(1, ms(400)).expect("valid");
    let rate = RateLimit::new(Quota::per_hour(1)).expect("valid");
    let layer = GateLayer::new((bucket, rate));
    let service = layer.layer(service_fn(hello));
    let get = || service.clone().oneshot(Request::new(()));
    assert_eq!(get().await.expect("infallible").status(), StatusCode::OK);
    let start = Instant::now();
    for _ in 0..3 {
        let rejected = get().await.expect("infallible");
        assert_eq!(rejected.headers()["plimsoll-rejected-by"], "rate-limit");
    }
    assert_eq!(
        start.elapsed(),
        ms(400),
        "only the first interval delays them"
    );
}
