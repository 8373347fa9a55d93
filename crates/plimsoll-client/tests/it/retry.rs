//! What is retried and when, on a paused clock.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_client::{
    AnswerBody, Backoff, Idempotent, InvalidRetry, Jitter, ReplayBody, RetryBudget, RetryBuilder,
    RetryLayer, TimedOut,
};
use plimsoll_core::{Deadline, Kind, Rejection, protocol::BoxError};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    callee::{Answer, Callee, status},
    ms,
};

type Outcome = Result<Response<AnswerBody<Full<Bytes>>>, BoxError>;

fn get() -> Request<Full<Bytes>> {
    Request::new(Full::default())
}

fn with_method(method: &str, body: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    request
}

fn until(mut request: Request<Full<Bytes>>, timeout: Duration) -> Request<Full<Bytes>> {
    let deadline = Deadline::after(Instant::now(), timeout).unwrap();
    request.extensions_mut().insert(deadline);
    request
}

async fn call(callee: &Callee, layer: &RetryLayer, request: Request<Full<Bytes>>) -> Outcome {
    layer.layer(callee.service()).oneshot(request).await
}

async fn code(callee: &Callee, layer: &RetryLayer, request: Request<Full<Bytes>>) -> u16 {
    call(callee, layer, request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

/// Waits of exactly 100 to 120 ms, doubled each time.
fn settings() -> RetryBuilder {
    let backoff = Backoff::new(ms(100), ms(10_000)).unwrap();
    RetryLayer::builder().backoff(backoff.jitter(Jitter::Equal))
}

#[tokio::test(start_paused = true)]
async fn a_pending_attempt_is_polled_once_for_each_poll() {
    for layer in [
        settings(),
        settings().attempt_timeout(ms(50)),
        settings().total_timeout(ms(50)),
    ] {
        let polls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&polls);
        let callee = tower::service_fn(move |_: Request<ReplayBody<Full<Bytes>>>| {
            let counted = Arc::clone(&counted);
            std::future::poll_fn(move |_| {
                counted.fetch_add(1, Relaxed);
                Poll::<Result<Response<Full<Bytes>>, io::Error>>::Pending
            })
        });
        let call = layer.build().unwrap().layer(callee).oneshot(get());
        let mut call = std::pin::pin!(call);
        for expected in 1..=3 {
            assert!(polled(call.as_mut()).is_pending());
            assert_eq!(polls.load(Relaxed), expected);
        }
    }
}

fn polled<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_sent_again_after_a_growing_backoff() {
    let layer = settings().max_attempts(4).build().unwrap();
    let callee = Callee::new([503, 502, 504].map(status));
    assert_eq!(code(&callee, &layer, get()).await, 200);
    let times = callee.times();
    assert_eq!(times.len(), 4);
    for (n, exponential) in [100, 200, 400].into_iter().enumerate() {
        let wait = times[n + 1] - times[n];
        assert!(
            wait >= exponential / 2 && wait <= exponential + 1,
            "{wait} ms"
        );
    }
    assert_eq!(layer.handle().retries(), 3);
    assert_eq!(layer.handle().free(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_returned_after_the_last_attempt() {
    let layer = settings().build().unwrap();
    let callee = Callee::new([503, 503, 502, 500].map(status));
    assert_eq!(code(&callee, &layer, get()).await, 502);
    assert_eq!(callee.attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn statuses_that_a_retry_cannot_change_are_final() {
    let layer = settings().build().unwrap();
    for answer in [
        200, 202, 204, 301, 304, 400, 401, 404, 409, 413, 500, 501, 505,
    ] {
        let callee = Callee::new([status(answer)]);
        assert_eq!(code(&callee, &layer, get()).await, answer);
        assert_eq!(callee.attempts(), 1, "{answer}");
    }
    for answer in [408, 429, 502, 503, 504] {
        let callee = Callee::new([status(answer)]);
        assert_eq!(code(&callee, &layer, get()).await, 200);
        assert_eq!(callee.attempts(), 2, "{answer}");
    }
    let only = [StatusCode::INTERNAL_SERVER_ERROR];
    let layer = settings().statuses(only).build().unwrap();
    for (answer, attempts) in [(500, 2), (503, 1)] {
        let callee = Callee::new([status(answer)]);
        code(&callee, &layer, get()).await;
        assert_eq!(callee.attempts(), attempts, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_requests_that_are_safe_to_repeat_are_retried() {
    let layer = settings().build().unwrap();
    for (method, attempts) in [
        ("GET", 2),
        ("PUT", 2),
        ("DELETE", 2),
        ("QUERY", 2),
        ("POST", 1),
        ("PATCH", 1),
    ] {
        let callee = Callee::new([status(503)]);
        code(&callee, &layer, with_method(method, "body")).await;
        assert_eq!(callee.attempts(), attempts, "{method}");
    }
    let mut marked = with_method("POST", "body");
    marked.extensions_mut().insert(Idempotent(true));
    let callee = Callee::new([status(503)]);
    assert_eq!(code(&callee, &layer, marked).await, 200);
    let every = settings().every_method().build().unwrap();
    let callee = Callee::new([status(503)]);
    assert_eq!(
        code(&callee, &every, with_method("POST", "body")).await,
        200
    );
    let received = callee.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|attempt| attempt.body == "body"));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_retried_whatever_the_method_and_costs_no_budget() {
    let rejected = |status| {
        Answer::Head(
            status,
            vec![
                ("plimsoll-rejected-by", "concurrency"),
                ("retry-after", "2"),
            ],
        )
    };
    let budget = RetryBudget::successes(0.1, 1).unwrap();
    budget.failure(Instant::now()).unwrap().spend();
    let layer = settings().budget(budget).build().unwrap();
    for answer in [429, 503, 418] {
        let callee = Callee::new([rejected(answer)]);
        assert_eq!(
            code(&callee, &layer, with_method("POST", "order")).await,
            200
        );
        let waited = callee.times()[1];
        assert!(
            (2000..=2202).contains(&waited),
            "{waited}: upwards from the hint, by a tenth"
        );
    }
    assert_eq!(layer.handle().free(), 3);
    // What cannot be met later, and what was left out on purpose.
    for answer in [504, 202] {
        let callee = Callee::new([rejected(answer)]);
        assert_eq!(code(&callee, &layer, get()).await, answer);
        assert_eq!(callee.attempts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_are_retried_until_the_deadline_and_without_one_up_to_the_attempts() {
    let rejection = Answer::Rejection(Rejection::new("x", Kind::Full).with_retry_after(ms(100)));
    let callee = Callee::new(vec![rejection.clone(); 30]);
    let layer = RetryLayer::builder().build().unwrap();
    assert_eq!(code(&callee, &layer, get()).await, 503);
    assert_eq!(callee.attempts(), 3);

    let callee = Callee::new(vec![rejection; 30]);
    assert_eq!(
        code(&callee, &layer, until(get(), Duration::from_secs(600))).await,
        200
    );
    assert_eq!(callee.attempts(), 31);
    assert_eq!(layer.handle().budget().taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_ends_the_call_at_once_with_the_last_answer() {
    let layer = settings().build().unwrap();
    let callee = Callee::new([Answer::Head(503, vec![("retry-after", "5")])]);
    let start = Instant::now();
    assert_eq!(code(&callee, &layer, until(get(), ms(4999))).await, 503);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(callee.attempts(), 1);

    let callee = Callee::new([Answer::Head(503, vec![("retry-after", "5")])]);
    assert_eq!(code(&callee, &layer, until(get(), ms(5100))).await, 200);
    assert!(callee.times()[1] >= 5000 && callee.times()[1] <= 5100);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_ends_the_call_unless_its_hint_fits_the_deadline() {
    let open =
        Answer::Rejection(Rejection::new("breaker", Kind::CircuitOpen).with_retry_after(ms(2000)));
    let layer = settings().build().unwrap();
    for (request, attempts) in [
        (get(), 1),
        (until(get(), ms(1900)), 1),
        (until(get(), ms(3000)), 2),
    ] {
        let callee = Callee::new([open.clone()]);
        code(&callee, &layer, request).await;
        assert_eq!(callee.attempts(), attempts);
    }
    // Without a hint, and other rejections that a wait does not change.
    for kind in [
        Kind::CircuitOpen,
        Kind::Deadline,
        Kind::Skipped,
        Kind::OverQuota,
    ] {
        let callee = Callee::new([Answer::Rejection(Rejection::new("x", kind))]);
        code(&callee, &layer, until(get(), ms(60_000))).await;
        assert_eq!(callee.attempts(), 1, "{kind:?}");
    }
    assert_eq!(layer.handle().budget().taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_suppresses_retries_and_the_caller_receives_the_answer() {
    let budget = RetryBudget::successes(0.1, 1).unwrap();
    let layer = settings().budget(budget.clone()).build().unwrap();
    let callee = Callee::new([503, 503].map(status));
    assert_eq!(code(&callee, &layer, get()).await, 503);
    assert_eq!(callee.attempts(), 2);
    assert_eq!((budget.taken(), budget.suppressed()), (1, 1));
    for _ in 0..10 {
        code(&callee, &layer, get()).await;
    }
    let callee = Callee::new([status(503)]);
    assert_eq!(
        code(&callee, &layer, get()).await,
        200,
        "ten successes pay for one retry"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_cancelled_in_its_backoff_is_returned_to_the_budget() {
    let budget = RetryBudget::successes(0.1, 1).unwrap();
    let layer = settings().budget(budget.clone()).build().unwrap();
    let callee = Callee::new([status(503)]);
    let cancelled = tokio::time::timeout(ms(10), call(&callee, &layer, get())).await;
    assert!(cancelled.is_err());
    assert!((budget.available(Instant::now()) - 1.0).abs() < 1e-9);
    assert_eq!(callee.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn attempts_time_out_and_the_deadline_ends_the_call() {
    let layer = settings().attempt_timeout(ms(300)).build().unwrap();
    let callee = Callee::new([Answer::Late(ms(301)), Answer::Late(ms(299))]);
    assert_eq!(code(&callee, &layer, get()).await, 200);
    assert!(callee.times()[1] >= 350 && callee.times()[1] <= 401);

    let late = || Callee::new(vec![Answer::Late(ms(10_000)); 9]);
    let error = call(&late(), &layer, get()).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimedOut::Attempt));

    let start = Instant::now();
    let error = call(&late(), &layer, until(get(), ms(250)))
        .await
        .unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimedOut::Deadline));
    assert_eq!(start.elapsed(), ms(250));

    let layer = settings().total_timeout(ms(700)).build().unwrap();
    let start = Instant::now();
    let error = call(&late(), &layer, get()).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimedOut::Deadline));
    assert_eq!(start.elapsed(), ms(700));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_cannot_finish_is_not_sent() {
    let budget = RetryBudget::successes(1.0, 100).unwrap();
    let layer = settings().budget(budget).build().unwrap();
    // The callee needs 300 ms.
    let callee = Callee::new([Answer::Late(ms(300))]);
    code(&callee, &layer, until(get(), ms(1000))).await;
    let callee = Callee::new([status(503)]);
    let start = Instant::now();
    assert_eq!(code(&callee, &layer, until(get(), ms(290))).await, 503);
    assert_eq!((callee.attempts(), start.elapsed()), (1, Duration::ZERO));
    assert_eq!(layer.handle().too_late(), 1);
    // The wait is shortened, so that the attempt can finish.
    for _ in 0..20 {
        let callee = Callee::new([status(503), Answer::Late(ms(300))]);
        assert_eq!(code(&callee, &layer, until(get(), ms(320))).await, 200);
        assert!(callee.times()[1] - callee.times()[0] <= 20);
    }
    // What the callee needed a minute ago no longer counts.
    tokio::time::advance(Duration::from_secs(61)).await;
    let callee = Callee::new([status(503)]);
    assert_eq!(code(&callee, &layer, until(get(), ms(290))).await, 200);
}

#[tokio::test(start_paused = true)]
async fn errors_are_retried_when_that_is_safe() {
    let layer = settings().build().unwrap();
    for (method, error, attempts) in [
        ("GET", io::ErrorKind::ConnectionReset, 2),
        ("POST", io::ErrorKind::ConnectionReset, 1),
        ("POST", io::ErrorKind::ConnectionRefused, 2),
        ("POST", io::ErrorKind::HostUnreachable, 2),
    ] {
        let callee = Callee::new([Answer::Error(error)]);
        _ = call(&callee, &layer, with_method(method, "x")).await;
        assert_eq!(callee.attempts(), attempts, "{method} {error}");
    }
    let layer = settings().retry_errors(|_| false).build().unwrap();
    let callee = Callee::new([Answer::Error(io::ErrorKind::ConnectionReset)]);
    let error = call(&callee, &layer, get()).await.unwrap_err();
    let error = error.downcast_ref::<io::Error>().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn retries_carry_their_number_and_the_time_left() {
    let name = http::HeaderName::from_static("x-previous-attempts");
    let layer = settings().attempt_header(name).build().unwrap();
    let callee = Callee::new([503, 503].map(status));
    let mut request = get();
    request
        .headers_mut()
        .insert("plimsoll-timeout-ms", "9000".parse().unwrap());
    assert_eq!(code(&callee, &layer, request).await, 200);
    let received = callee.received();
    let header = |n: usize, name| {
        received[n]
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(header(0, "x-previous-attempts"), None);
    assert_eq!(header(1, "x-previous-attempts"), Some("1"));
    assert_eq!(header(2, "x-previous-attempts"), Some("2"));
    assert_eq!(header(0, "plimsoll-timeout-ms"), Some("9000"));
    for attempt in &received[1..] {
        let left: u64 = attempt.headers["plimsoll-timeout-ms"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let spent = u64::try_from(attempt.at.as_millis()).unwrap();
        assert!(
            left <= 9000 - spent && left + 1 >= 9000 - spent,
            "{left} {spent}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_timeouts_shrink_and_grpc_attempts_are_capped_at_five() {
    let unavailable = || {
        Answer::Head(
            200,
            vec![("content-type", "application/grpc"), ("grpc-status", "14")],
        )
    };
    let layer = settings().max_attempts(9).every_method().build().unwrap();
    let callee = Callee::new(vec![unavailable(); 9]);
    let mut request = with_method("POST", "message");
    let headers = request.headers_mut();
    headers.insert("content-type", "application/grpc".parse().unwrap());
    headers.insert("grpc-timeout", "30S".parse().unwrap());
    code(&callee, &layer, request).await;
    let received = callee.received();
    assert_eq!(received.len(), 5);
    assert!(
        !received[0]
            .headers
            .contains_key("grpc-previous-rpc-attempts")
    );
    assert_eq!(received[4].headers["grpc-previous-rpc-attempts"], "4");
    let left = received[1].headers["grpc-timeout"].to_str().unwrap();
    assert!(
        left.starts_with("299") && left.ends_with('u'),
        "{left}: 29.9 s"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_info_of_a_grpc_head_is_a_lower_bound_and_yields_to_a_pushback() {
    // A status with a `RetryInfo` of 20 s.
    let details = "CA4SBGJ1c3kaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIFA";
    let info = ("grpc-status-details-bin", details);
    let pushback = ("grpc-retry-pushback-ms", "500");
    for (fields, expected) in [
        (vec![info], 20_000..=22_000_u128),
        (vec![info, pushback], 500..=500),
    ] {
        let mut head = vec![("content-type", "application/grpc"), ("grpc-status", "14")];
        head.extend(fields);
        let callee = Callee::new([Answer::Head(200, head)]);
        let layer = settings().build().unwrap();
        assert_eq!(code(&callee, &layer, get()).await, 200);
        let times = callee.times();
        assert!(
            times.len() == 2 && expected.contains(&times[1]),
            "{times:?}"
        );
    }
}

#[test]
fn settings_out_of_bounds_are_errors() {
    let error = |builder: RetryBuilder| builder.build().unwrap_err();
    assert_eq!(
        error(settings().max_attempts(0)),
        InvalidRetry::MaxAttempts(0)
    );
    assert!(settings().max_attempts(101).build().is_err());
    assert!(settings().attempt_timeout(Duration::ZERO).build().is_err());
    assert!(settings().total_timeout(Duration::MAX).build().is_err());
    assert!(settings().longest_hint(Duration::MAX).build().is_err());
    assert_eq!(
        InvalidRetry::MaxAttempts(0).to_string(),
        "max_attempts must be in 1..=100, got 0"
    );
}
