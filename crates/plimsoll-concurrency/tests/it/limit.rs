//! Without a queue: requests are admitted, or rejected at once.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer};
use plimsoll_core::{Kind, LoadSignal};
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

use crate::{call, with_deadlines};

#[tokio::test(start_paused = true)]
async fn a_request_above_the_limit_is_rejected_and_takes_nothing() {
    let limit = with_deadlines(ConcurrencyLimit::new(2).unwrap());
    let handle = limit.handle();
    let (mut one, mut two) = (call(&limit), call(&limit));
    assert!(one.is_running() && two.is_running());

    let rejection = call(&limit).rejection().unwrap();
    assert_eq!(
        (rejection.policy(), rejection.kind()),
        ("concurrency", Kind::Full)
    );
    assert_eq!(
        (handle.in_flight(), handle.queued(), handle.rejected()),
        (2, 0, 1)
    );
    assert_eq!(handle.load(), 1.0);

    drop(one);
    assert!(call(&limit).is_running());
    drop(two);
    assert_eq!((handle.in_flight(), handle.load()), (0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_per_caller_rejects_with_over_quota() {
    let limit = with_deadlines(ConcurrencyLimit::new(1).unwrap().reject_as_over_quota());
    let _running = call(&limit);
    assert_eq!(call(&limit).rejection().unwrap().kind(), Kind::OverQuota);
}

#[tokio::test(start_paused = true)]
async fn the_hint_is_the_time_to_serve_all_requests_inside() {
    let limit = with_deadlines(
        ConcurrencyLimit::new(2)
            .unwrap()
            .queue(2, Duration::from_secs(10))
            .unwrap(),
    );
    let handle = limit.handle();
    assert_eq!(
        handle.retry_after(),
        Duration::from_secs(1),
        "no call was measured yet"
    );

    let (one, two) = (call(&limit), call(&limit));
    advance(Duration::from_millis(320)).await;
    one.finish();
    let three = call(&limit);
    assert_eq!(handle.retry_after(), Duration::from_millis(320));
    let _waiting = [call(&limit), call(&limit)];
    let hint = call(&limit).rejection().unwrap().retry_after();
    assert_eq!(hint, Some(Duration::from_millis(640)));

    // Calls become fast, and each moves the estimate by 1/16 of the difference.
    three.finish();
    assert_eq!((handle.in_flight(), handle.queued()), (2, 1));
    assert_eq!(handle.retry_after(), Duration::from_millis(450));
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn time_is_measured_only_while_all_slots_are_taken() {
    let limit = with_deadlines(ConcurrencyLimit::new(2).unwrap());
    let alone = call(&limit);
    advance(Duration::from_millis(320)).await;
    alone.finish();
    let _running = [call(&limit), call(&limit)];
    let hint = call(&limit).rejection().unwrap().retry_after();
    assert_eq!(hint, Some(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_set_is_used() {
    let limit = ConcurrencyLimit::new(1)
        .unwrap()
        .retry_after(Duration::from_millis(250))
        .unwrap();
    let limit = with_deadlines(limit);
    let _running = call(&limit);
    assert_eq!(
        call(&limit).rejection().unwrap().retry_after(),
        Some(Duration::from_millis(250))
    );
}

#[tokio::test(start_paused = true)]
async fn law_01_services_of_one_layer_share_the_limit_until_their_bodies_end() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let handle = limit.handle();
    let layer: ConcurrencyLimitLayer = ConcurrencyLimitLayer::new(limit);
    let call = async || {
        let service = layer.layer(service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
        }));
        service
            .oneshot(Request::new(Full::default()))
            .await
            .unwrap()
    };
    let first = call().await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(call().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        first.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    assert_eq!(handle.in_flight(), 0);
    assert_eq!(call().await.status(), StatusCode::OK);
}
