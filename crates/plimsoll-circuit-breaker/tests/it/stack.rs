//! Behind a gate: cancellation, panics, bodies, other policies, other protocols.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, CircuitBreakerLayer, State};
use plimsoll_core::{GateLayer, Kind, Plain, Rejection, Shadow, test_kit::RejectAll};
use tokio::time::{advance, sleep, timeout};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::{millis, secs};

fn small() -> CircuitBreaker {
    CircuitBreaker::builder()
        .window(2)
        .failure_rate(1.0)
        .open_for(secs(1))
        .jitter(0.0)
        .probes(1)
        .successes(1)
        .ramp(None)
        .build()
        .unwrap()
}

/// Answers with the status in the request's body, after the time in it.
pub(super) async fn obey(
    req: Request<(u16, Duration)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, delay) = *req.body();
    sleep(delay).await;
    assert_ne!(status, 0, "the request asks for a panic");
    let mut response = Response::new(Full::from("body"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

/// Reads the body to its end, and returns the status.
pub(super) async fn read<B>(answer: Result<Response<B>, Infallible>) -> StatusCode
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let (head, body) = answer.unwrap().into_parts();
    body.collect().await.unwrap();
    head.status
}

pub(super) fn say(status: u16) -> Request<(u16, Duration)> {
    Request::new((status, Duration::ZERO))
}

async fn open(layer: &CircuitBreakerLayer, handle: &CircuitBreakerHandle) {
    for _ in 0..2 {
        let service = layer.layer(service_fn(obey));
        read(service.oneshot(say(500)).await).await;
    }
    assert_eq!(handle.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn law_01_failures_through_separate_services_open_one_breaker() {
    let breaker = small();
    let handle = breaker.handle();
    let layer = CircuitBreakerLayer::new(breaker);
    open(&layer, &handle).await;
    let rejected = layer
        .layer(service_fn(obey))
        .oneshot(say(200))
        .await
        .unwrap();
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rejected.headers()["retry-after"], "1");
    let rejection: &Rejection = rejected.extensions().get().unwrap();
    assert_eq!(rejection.kind(), Kind::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn law_08_a_paused_clock_moves_the_breaker() {
    let breaker = small();
    let handle = breaker.handle();
    let layer = CircuitBreakerLayer::new(breaker);
    let service = layer.layer(service_fn(obey));
    open(&layer, &handle).await;
    advance(millis(999)).await;
    let rejected = service.clone().oneshot(say(200)).await.unwrap();
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    advance(millis(1)).await;
    let probe = service.clone().oneshot(say(200)).await.unwrap();
    assert_eq!(probe.status(), StatusCode::OK);
    assert_eq!(handle.state(), State::HalfOpen, "the body has not ended");
    drop(probe);
    assert_eq!(handle.probing(), 0);
}

#[tokio::test(start_paused = true)]
async fn law_11_a_dropped_probe_releases_its_place() {
    let breaker = small();
    let handle = breaker.handle();
    let layer = CircuitBreakerLayer::new(breaker);
    let mut service = layer.layer(service_fn(obey));
    open(&layer, &handle).await;
    advance(secs(1)).await;

    // Dropped before it is polled, and while it runs.
    drop(service.call(Request::new((200, secs(60)))));
    assert_eq!((handle.state(), handle.probing()), (State::HalfOpen, 0));
    let hung = timeout(millis(1), service.call(Request::new((200, secs(60)))));
    assert!(hung.await.is_err());
    assert_eq!((handle.state(), handle.probing()), (State::HalfOpen, 0));
}

#[tokio::test(start_paused = true)]
async fn law_11_a_panicking_probe_opens_and_holds_nothing() {
    let breaker = small();
    let handle = breaker.handle();
    let layer = CircuitBreakerLayer::new(breaker);
    open(&layer, &handle).await;
    advance(secs(1)).await;
    let service = layer.layer(service_fn(obey));
    let panicked = tokio::spawn(service.oneshot(say(0))).await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!((handle.state(), handle.probing()), (State::Open, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_counts_as_a_slow_call() {
    let breaker = CircuitBreaker::builder()
        .window(2)
        .slow_call(millis(50))
        .build()
        .unwrap();
    let handle = breaker.handle();
    let mut service = CircuitBreakerLayer::new(breaker).layer(service_fn(obey));
    for _ in 0..2 {
        let call = service.call(Request::new((200, secs(60))));
        assert!(timeout(millis(60), call).await.is_err());
    }
    assert_eq!(handle.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn law_03_a_probe_rejected_by_a_later_policy_releases_its_place() {
    let breaker = Arc::new(small());
    let handle = breaker.handle();
    let alone = GateLayer::new(Arc::clone(&breaker));
    for _ in 0..2 {
        read(alone.layer(service_fn(obey)).oneshot(say(500)).await).await;
    }
    advance(secs(1)).await;
    let layer = GateLayer::new((breaker, RejectAll));
    for _ in 0..3 {
        let rejected = layer
            .layer(service_fn(obey))
            .oneshot(say(200))
            .await
            .unwrap();
        let rejection: &Rejection = rejected.extensions().get().unwrap();
        assert_eq!(rejection.policy(), "reject-all");
        assert_eq!((handle.state(), handle.probing()), (State::HalfOpen, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shadow_probes_and_recovers_without_rejecting() {
    let breaker = small();
    let handle = breaker.handle();
    let shadow = Shadow::new(breaker);
    let counts = shadow.handle();
    let layer = GateLayer::new(shadow);
    let call = |status| layer.layer(service_fn(obey)).oneshot(say(status));
    for _ in 0..4 {
        assert_eq!(
            read(call(500).await).await,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
    assert_eq!((handle.state(), counts.would_reject()), (State::Open, 2));
    advance(secs(1)).await;
    read(call(200).await).await;
    assert_eq!(handle.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_works_around_a_client_without_http() {
    let breaker = small();
    let handle = breaker.handle();
    let layer = GateLayer::builder(breaker).protocol(Plain::new()).build();
    let service = layer.layer(service_fn(|ok: bool| async move {
        ok.then_some("answer").ok_or("connection refused")
    }));
    for _ in 0..2 {
        let error = service.clone().oneshot(false).await.unwrap_err();
        assert_eq!(error.to_string(), "connection refused");
    }
    let error = service.clone().oneshot(true).await.unwrap_err();
    let rejection = error.rejection().unwrap();
    assert_eq!(rejection.retry_after(), Some(secs(1)));
    advance(secs(1)).await;
    assert_eq!(service.oneshot(true).await.unwrap(), "answer");
    assert_eq!(handle.state(), State::Closed);
}
