//! Answers that are not failures show that the callee works.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONTENT_TYPE};
use http_body_util::Full;
use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
use plimsoll_core::{Class, GateLayer, Http, test_kit::RejectAll};
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{
    Bench, millis, secs, small,
    stack::{obey, read, say},
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

#[test]
fn ignored_answers_are_successful_probes() {
    let bench = Bench::due();
    bench.call(Class::Ignored);
    assert_eq!(bench.state(), "half-open", "one success of two");
    bench.call(Class::Ignored);
    assert_eq!(bench.state(), "closed");
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_answers_404_closes_the_breaker() {
    let breaker = CircuitBreaker::builder().ramp(None).build().unwrap();
    let handle = breaker.handle();
    let service = CircuitBreakerLayer::new(breaker).layer(service_fn(obey));
    for _ in 0..20 {
        read(service.clone().oneshot(say(500)).await).await;
    }
    assert_eq!(handle.state(), State::Open);
    advance(handle.open_for() * 2).await;
    let mut rejected = 0;
    for _ in 0..1_000 {
        let status = read(service.clone().oneshot(say(404)).await).await;
        rejected += u32::from(status != StatusCode::NOT_FOUND);
    }
    assert_eq!((rejected, handle.state()), (0, State::Closed));
}

/// 12 failures among 1,000 answers are 1.2 %.
#[tokio::test(start_paused = true)]
async fn a_few_failures_among_404s_do_not_open() {
    let breaker = CircuitBreaker::builder().window(1_000).min_calls(10);
    let breaker = breaker.build().unwrap();
    let handle = breaker.handle();
    let service = CircuitBreakerLayer::new(breaker).layer(service_fn(obey));
    for n in 0..1_000 {
        let status = if n % 83 == 82 { 500 } else { 404 };
        read(service.clone().oneshot(say(status)).await).await;
    }
    assert_eq!(handle.state(), State::Closed);
    assert_eq!(handle.failure_rate(), Some(0.012));
}

#[test]
fn a_slow_probe_has_failed_with_any_class() {
    for class in [Class::Success, Class::Ignored] {
        let bench = Bench::due_with(small().slow_call(millis(50)));
        bench.end_after(bench.ask().unwrap(), class, millis(50));
        assert_eq!(bench.state(), "open", "{class:?}");
    }
}

/// With `count_overloaded(false)` an overloaded answer is not a failure: a callee that is full
/// still works.
#[test]
fn overloaded_answers_that_do_not_count_are_successful_probes() {
    let bench = Bench::due();
    bench.breaker.handle().set_count_overloaded(false).unwrap();
    bench.call(Class::Overloaded);
    bench.call(Class::Overloaded);
    assert_eq!(bench.state(), "closed");
    for _ in 0..10 {
        bench.call(Class::Overloaded);
    }
    assert_eq!(
        bench.breaker.handle().failure_rate(),
        None,
        "and they do not enter the closed window"
    );
}

#[test]
fn law_11_probes_that_are_cancelled_early_never_block_the_breaker() {
    let mut bench = Bench::due();
    for round in 0..1_000 {
        let probe = bench
            .ask()
            .unwrap_or_else(|_| panic!("no probe in round {round}"));
        bench.pass(millis(1));
        bench.end_after(probe, Class::Cancelled, millis(1));
        assert_eq!(bench.breaker.handle().probing(), 0);
    }
    assert_eq!(bench.state(), "half-open", "no probe was counted");
    bench.pass(secs(1));
    bench.call(Class::Success);
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
}

/// A breaker around a callee whose own gate rejects everything.
fn behind_a_rejecting_gate(breaker: CircuitBreaker) -> impl AsyncFn(u16) -> StatusCode {
    let inner = GateLayer::new(RejectAll).layer(service_fn(obey));
    let service = CircuitBreakerLayer::new(breaker).layer(inner);
    async move |status| read(service.clone().oneshot(say(status)).await).await
}

#[tokio::test(start_paused = true)]
async fn rejections_of_an_inner_gate_do_not_open_the_breaker() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    let call = behind_a_rejecting_gate(breaker);
    for _ in 0..1_000 {
        assert_eq!(call(200).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!((handle.state(), handle.calls()), (State::Closed, 0));
}

#[test]
fn law_11_a_probe_that_an_inner_gate_rejects_is_tried_again() {
    let bench = Bench::due();
    for _ in 0..100 {
        bench.call(Class::Rejected);
        assert_eq!(bench.state(), "half-open");
        assert_eq!(bench.breaker.handle().probing(), 0);
    }
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    assert!(bench.ask().is_err(), "two at a time, as before");
    bench.end(first, Class::Success);
    bench.end(second, Class::Rejected);
    assert_eq!(bench.state(), "half-open");
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
    assert_eq!(bench.breaker.handle().late(), 0);
}

#[test]
fn law_11_a_rejected_probe_of_an_earlier_round_releases_no_place() {
    let mut bench = Bench::due();
    let (slow, failing) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.end(failing, Class::Failure);
    bench.pass(secs(1));
    let _both = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.end(slow, Class::Rejected);
    assert!(bench.ask().is_err());
}

/// As clients do that read only the status, or the first chunk of a stream.
#[tokio::test(start_paused = true)]
async fn answers_whose_bodies_are_dropped_unread_count_by_their_heads() {
    for (status, state) in [
        (201, "recovering"),
        (404, "recovering"),
        (500, "open"),
        (503, "open"),
    ] {
        let breaker = CircuitBreaker::new();
        let handle = breaker.handle();
        let service = CircuitBreakerLayer::new(breaker).layer(service_fn(obey));
        for _ in 0..20 {
            read(service.clone().oneshot(say(500)).await).await;
        }
        advance(handle.retry_after(Instant::now()).unwrap()).await;
        for _ in 0..3 {
            drop(service.clone().oneshot(say(status)).await);
        }
        assert_eq!(handle.state().as_str(), state, "{status}");
    }
}

/// A timeout layer at the callee answers 408.
#[tokio::test(start_paused = true)]
async fn a_callee_that_answers_408_opens_the_breaker_of_a_client() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    let layer = GateLayer::builder(breaker).protocol(Http::client()).build();
    for _ in 0..20 {
        read(layer.layer(service_fn(obey)).oneshot(say(408)).await).await;
    }
    assert_eq!(handle.state(), State::Open);
}

/// The status of a gRPC call comes last, so that of a stream which the caller drops is never known.
/// But the callee answered.
#[tokio::test(start_paused = true)]
async fn grpc_streams_that_the_caller_drops_are_successful_probes() {
    async fn stream(_: Request<bool>) -> Result<Response<Full<Bytes>>, Infallible> {
        let mut response = Response::new(Full::from("a message, and the status would follow"));
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        *response.version_mut() = Version::HTTP_2;
        Ok(response)
    }
    let breaker = CircuitBreaker::builder().window(1).ramp(None);
    let breaker = breaker.build().unwrap();
    let handle = breaker.handle();
    let layer = CircuitBreakerLayer::new(breaker);
    let failing = layer.layer(service_fn(|_: Request<bool>| async {
        Err::<Response<Full<Bytes>>, _>("connection refused")
    }));
    assert!(failing.oneshot(Request::new(true)).await.is_err());
    advance(handle.retry_after(Instant::now()).unwrap()).await;
    for _ in 0..3 {
        assert_ne!(handle.state(), State::Closed);
        let mut req = Request::new(true);
        req.headers_mut().insert(CONTENT_TYPE, GRPC);
        drop(layer.layer(service_fn(stream)).oneshot(req).await);
    }
    assert_eq!(handle.state(), State::Closed);
}
