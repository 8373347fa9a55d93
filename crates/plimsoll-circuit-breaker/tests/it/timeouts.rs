//! A timeout outside of a breaker appears as calls that are cancelled before an answer.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use plimsoll_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerHandle, CircuitBreakerLayer,
};
use plimsoll_core::Class;
use tokio::time::{Instant, advance};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use super::{Bench, millis, secs, stack::obey};

/// Longer than every timeout.
const HANGS: Duration = Duration::from_secs(3_600);

/// A breaker with a timeout outside, in front of a service that hangs: after 100 calls, or once it
/// has opened.
async fn timeout_outside(
    timeout: Duration,
    breaker: CircuitBreakerBuilder,
) -> CircuitBreakerHandle {
    let breaker = breaker.build().unwrap();
    let handle = breaker.handle();
    let service = ServiceBuilder::new()
        .timeout(timeout)
        .layer(CircuitBreakerLayer::new(breaker))
        .service_fn(obey);
    for _ in 0..100 {
        let call = service.clone().oneshot(Request::new((200, HANGS)));
        if call.await.is_ok() {
            break; // rejected
        }
    }
    handle
}

#[tokio::test(start_paused = true)]
async fn timeouts_outside_of_a_second_or_more_open_a_breaker_with_default_settings() {
    for timeout in [secs(1), secs(2), secs(30)] {
        let handle = timeout_outside(timeout, CircuitBreaker::builder()).await;
        assert_eq!(
            (handle.state().as_str(), handle.failure_rate()),
            ("open", Some(1.0)),
            "{timeout:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_as_long_as_the_timeout_outside_is_enough() {
    let breaker = CircuitBreaker::builder().slow_call(millis(50));
    let handle = timeout_outside(millis(50), breaker).await;
    assert_eq!(handle.state().as_str(), "open");
    let breaker = CircuitBreaker::builder().cancelled_call(millis(50));
    let handle = timeout_outside(millis(50), breaker).await;
    assert_eq!(handle.state().as_str(), "open");
}

#[tokio::test(start_paused = true)]
async fn shorter_timeouts_outside_are_counted_as_cancelled() {
    let handle = timeout_outside(millis(999), CircuitBreaker::builder()).await;
    assert_eq!(handle.state().as_str(), "closed");
    assert_eq!((handle.failure_rate(), handle.cancelled()), (None, 100));
}

#[tokio::test(start_paused = true)]
async fn cancelled_calls_can_be_left_out() {
    let breaker = CircuitBreaker::builder().cancelled_call(None);
    let handle = timeout_outside(secs(60), breaker).await;
    assert_eq!(handle.state().as_str(), "closed");
    assert_eq!((handle.failure_rate(), handle.cancelled()), (None, 100));
    assert_eq!(handle.cancelled_call(), None);
}

#[tokio::test(start_paused = true)]
async fn a_probe_cancelled_by_the_timeout_outside_opens_again() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    let service = ServiceBuilder::new()
        .timeout(secs(1))
        .layer(CircuitBreakerLayer::new(breaker))
        .service(service_fn(obey));
    let call = |delay| service.clone().oneshot(Request::new((200, delay)));
    for _ in 0..20 {
        assert!(call(HANGS).await.is_err());
    }
    assert_eq!(handle.state().as_str(), "open");
    advance(handle.retry_after(Instant::now()).unwrap()).await;
    assert!(call(HANGS).await.is_err());
    assert_eq!((handle.state().as_str(), handle.opened()), ("open", 2));
    advance(handle.retry_after(Instant::now()).unwrap()).await;
    for _ in 0..3 {
        let answer = call(secs(0)).await.unwrap();
        _ = answer.into_body().collect().await;
    }
    assert_eq!(handle.state().as_str(), "recovering");
}

#[test]
fn cancelled_calls_count_from_the_shorter_of_both_settings() {
    let check = |slow, cancelled, expected: Option<u64>| {
        let bench = Bench::new(
            CircuitBreaker::builder()
                .window(2)
                .min_calls(1)
                .slow_call(slow)
                .cancelled_call(cancelled)
                .build()
                .unwrap(),
        );
        let handle = bench.breaker.handle();
        for at in 1..100 {
            bench.end_after(bench.ask().unwrap(), Class::Cancelled, millis(at));
            if handle.failure_rate().is_some() {
                assert_eq!((Some(at), handle.cancelled()), (expected, at - 1));
                return;
            }
        }
        assert_eq!(expected, None);
    };
    check(None, None, None);
    check(Some(millis(20)), None, Some(20));
    check(None, Some(millis(30)), Some(30));
    check(Some(millis(20)), Some(millis(30)), Some(20));
    check(Some(millis(40)), Some(millis(30)), Some(30));
}

#[test]
fn cancelled_call_can_be_changed_at_run_time() {
    let bench = Bench::small();
    let handle = bench.breaker.handle();
    assert_eq!(handle.cancelled_call(), Some(secs(1)));
    handle.set_cancelled_call(Some(secs(2))).unwrap();
    for _ in 0..2 {
        bench.end_after(bench.ask().unwrap(), Class::Cancelled, millis(1_999));
    }
    assert_eq!((bench.state(), handle.cancelled()), ("closed", 2));
    for _ in 0..2 {
        bench.end_after(bench.ask().unwrap(), Class::Cancelled, secs(2));
    }
    assert_eq!((bench.state(), handle.cancelled()), ("open", 2));
    assert_eq!(
        handle
            .set_cancelled_call(Some(Duration::ZERO))
            .unwrap_err()
            .to_string(),
        "cancelled_call must be longer than 0, got 0s"
    );
}

/// Only `slow_call` needs a clock read at each head.
#[test]
fn the_default_reads_no_latency() {
    let reads = |breaker: CircuitBreakerBuilder| {
        plimsoll_core::Policy::<()>::interests(
            &breaker.build().unwrap(),
            plimsoll_core::policy::Interests::LATENCY,
        )
        .latency()
    };
    assert!(!reads(CircuitBreaker::builder()));
    assert!(reads(CircuitBreaker::builder().slow_call(secs(1))));
    assert!(!reads(
        CircuitBreaker::builder().slow_call(secs(1)).slow_call(None)
    ));
}
