//! Waits that the callee asks for.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_core::{Authority, Class, GateLayer, Missing, Policy};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Bench, secs, small, stack::read};

/// Ends a call with a failure whose answer asks callers to wait.
fn fail_asking(bench: &Bench, wait: Duration) {
    let permit = bench.ask().unwrap();
    Policy::<()>::asked_to_wait(&bench.breaker, &permit, wait, bench.now);
    bench.end(permit, Class::Overloaded);
}

#[test]
fn a_wait_of_the_callee_is_honoured_up_to_the_ceiling() {
    for (asked, expected) in [(0, 1), (1, 1), (7, 7), (59, 59), (60, 60), (3_600, 60)] {
        let bench = Bench::small();
        bench.call(Class::Failure);
        fail_asking(&bench, secs(asked));
        assert_eq!(
            bench.rejected(),
            Some(secs(expected)),
            "asked for {asked} s"
        );
    }
}

#[test]
fn the_wait_of_a_failed_probe_counts_too_and_enters_no_backoff() {
    let mut bench = Bench::due_with(small().backoff(2.0, secs(8)));
    fail_asking(&bench, secs(30));
    assert_eq!(bench.rejected(), Some(secs(30)));
    bench.pass(secs(30));
    bench.call(Class::Failure);
    assert_eq!(bench.rejected(), Some(secs(4)), "1, 2, 4 s");
}

#[test]
fn the_ceiling_can_be_set_and_waits_ignored() {
    for (ceiling, expected) in [(Some(secs(600)), 300), (Some(secs(5)), 5), (None, 1)] {
        let bench = Bench::new(small().max_retry_after(ceiling).build().unwrap());
        bench.call(Class::Failure);
        fail_asking(&bench, secs(300));
        assert_eq!(bench.rejected(), Some(secs(expected)));
    }
}

/// All clients of a callee get the same wait.
#[test]
fn waits_have_jitter() {
    fastrand::seed(5);
    let mut waits: Vec<_> = (0..50)
        .map(|_| {
            let bench = Bench::new(small().jitter(0.5).build().unwrap());
            bench.call(Class::Failure);
            fail_asking(&bench, secs(10));
            bench.rejected().unwrap()
        })
        .collect();
    waits.sort_unstable();
    assert!(waits[0] >= secs(10) && waits[49] <= secs(15));
    assert!(waits[49] > waits[0] + secs(4), "{waits:?}");
}

/// The wait counts from the head of its answer, and a wait of an earlier generation not at all.
#[test]
fn a_wait_has_passed_in_part_when_the_breaker_opens_later() {
    let mut bench = Bench::small();
    fail_asking(&bench, secs(20));
    bench.pass(secs(5));
    bench.call(Class::Failure);
    assert_eq!(bench.rejected(), Some(secs(15)));
    bench.pass(secs(15));
    bench.call(Class::Failure);
    assert_eq!(bench.rejected(), Some(secs(1)));
}

/// `google.rpc.Status` with a `RetryInfo` of 20 s.
const DETAILS: &str =
    "CA4SBGJ1c3kaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIFA";

/// A gRPC call that fails after its first messages states the wait in its trailers.
#[tokio::test(start_paused = true)]
async fn a_gate_reads_the_wait_of_trailers_after_a_body() {
    let (pushback, details) = ("grpc-retry-pushback-ms", "grpc-status-details-bin");
    for (code, fields, expected) in [
        ("14", [(pushback, "20000")].as_slice(), 20),
        ("14", &[(pushback, "-1")], 1),
        ("14", &[(pushback, "soon")], 1),
        ("0", &[(pushback, "20000")], 1),
        ("14", &[(details, DETAILS)], 20),
        ("0", &[(details, DETAILS)], 1),
        ("14", &[(details, "CA4S!")], 1),
        // A pushback takes precedence, unless it only forbids the retry of this call.
        ("14", &[(details, DETAILS), (pushback, "7000")], 7),
        ("14", &[(details, DETAILS), (pushback, "-1")], 20),
    ] {
        let breaker = CircuitBreaker::builder().window(1).open_for(secs(1));
        let breaker = breaker.jitter(0.0).build().unwrap();
        let handle = breaker.handle();
        let layer = GateLayer::builder((breaker,)).protocol(plimsoll_core::Http::client());
        let service = layer
            .build()
            .layer(service_fn(move |_: Request<()>| async move {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", code.parse().unwrap());
                for (name, value) in fields {
                    trailers.insert(*name, value.parse().unwrap());
                }
                let body = Full::<bytes::Bytes>::from("message")
                    .with_trailers(async move { Some(Ok(trailers)) });
                let response = Response::builder()
                    .version(http::Version::HTTP_2)
                    .header("content-type", "application/grpc");
                Ok::<_, Infallible>(response.body(body.boxed_unsync()).unwrap())
            }));
        let answer = service.clone().oneshot(Request::new(())).await.unwrap();
        let (_, body) = answer.into_parts();
        body.collect().await.unwrap();
        // A failure after the trailers opens it, if they have not.
        if code == "0" {
            handle.trip(secs(1));
        }
        let wait = handle.retry_after(Instant::now());
        assert_eq!(wait, Some(secs(expected)), "{code}, {fields:?}");
    }
}

/// Through a gate, per key: the head of an HTTP answer, and that of a gRPC answer without a body.
#[tokio::test(start_paused = true)]
async fn a_gate_reads_the_wait_of_an_answer() {
    for (status, header, value, expected) in [
        (503, "retry-after", "20", 20),
        (500, "retry-after", "20", 20),
        (503, "retry-after", "-3", 1),
        (503, "retry-after", "soon", 1),
        (503, "x-retry-after", "20", 1),
        (200, "grpc-retry-pushback-ms", "20000", 20),
        (200, "grpc-retry-pushback-ms", "-1", 1),
        (200, "grpc-status-details-bin", DETAILS, 20),
        (503, "grpc-status-details-bin", DETAILS, 20),
    ] {
        let breaker = CircuitBreaker::builder().window(1).open_for(secs(1));
        let breaker = breaker.jitter(0.0).build().unwrap();
        let handle = breaker.handle();
        let breaker = breaker.per_key(Authority, Missing::Admit, 10).unwrap();
        let service =
            GateLayer::new((breaker,)).layer(service_fn(move |_: Request<()>| async move {
                let mut response = Response::builder().status(status).header(header, value);
                if status == 200 {
                    response = response.version(http::Version::HTTP_2);
                    response = response.header("content-type", "application/grpc");
                    response = response.header("grpc-status", "14");
                }
                Ok::<_, Infallible>(response.body(Empty::<bytes::Bytes>::new()).unwrap())
            }));
        let call = Request::get("https://callee.example/").body(()).unwrap();
        read(service.clone().oneshot(call).await).await;
        let open = handle.open_keys(1, Instant::now());
        let (key, wait) = (open[0].key.as_deref(), open[0].retry_after);
        assert_eq!(key, Some("callee.example:443"));
        assert_eq!(wait, Some(secs(expected)), "{status} {header}: {value}");
    }
}
