//! Responses as callers see them.

use std::{convert::Infallible, time::Duration};

use http::{HeaderMap, Request, Response, StatusCode};
use plimsoll_core::{GateLayer, Http, Policy};
use plimsoll_rate_limit::{SlidingLog, SlidingLogLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::ms;

type Body = http_body_util::Empty<bytes::Bytes>;

async fn get<P: Policy<Request<()>> + 'static>(
    layer: &GateLayer<P, Http>,
    path: &str,
) -> (StatusCode, HeaderMap) {
    let service = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Body::new()))
    }));
    let req = Request::get(path).body(()).expect("valid");
    let response = service.oneshot(req).await.expect("infallible");
    (response.status(), response.headers().clone())
}

#[tokio::test(start_paused = true)]
async fn over_the_limit_is_429_with_retry_after_rounded_up() {
    let layer: SlidingLogLayer = SlidingLogLayer::new(SlidingLog::new(2, ms(2500)).expect("valid"));
    for _ in 0..2 {
        assert_eq!(get(&layer, "/").await.0, StatusCode::OK);
    }
    tokio::time::advance(ms(300)).await;
    let (status, headers) = get(&layer, "/").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "3");
    assert_eq!(headers["plimsoll-rejected-by"], "sliding-log");
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(get(&layer, "/").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_costs_more_than_the_limit_gets_no_retry_after() {
    let cost = |req: &Request<()>| if req.uri().path() == "/all" { 3 } else { 1 };
    let layer = GateLayer::new(SlidingLog::new(2, ms(1000)).expect("valid").cost(cost));
    let (status, headers) = get(&layer, "/all").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!headers.contains_key("retry-after"));
    assert_eq!(get(&layer, "/one").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_named_log_is_reported_on_every_response() {
    let log = SlidingLog::new(2, ms(10_000)).and_then(|log| log.named("contract"));
    let layer: SlidingLogLayer = SlidingLogLayer::new(log.expect("valid"));
    for (status, left) in [
        (200, "\"contract\";r=1;t=10"),
        (200, "\"contract\";r=0;t=10"),
        (429, "\"contract\";r=0;t=6"),
    ] {
        let (got, headers) = get(&layer, "/").await;
        assert_eq!(got, status);
        assert_eq!(headers["ratelimit-policy"], "\"contract\";q=2;w=10");
        assert_eq!(headers["ratelimit"], left);
        tokio::time::advance(ms(2000)).await;
    }
    assert!(
        SlidingLog::new(2, ms(1))
            .and_then(|log| log.named(""))
            .is_err()
    );
}
