//! The recommended order, on a paused clock.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_client::{AdaptiveThrottle, Downstream};
use plimsoll_client::{Backoff, ClientStack, HedgeLayer, RetryLayer};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{Authority, Deadline, Missing};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    callee::{Answer, Callee, status},
    ms,
};

fn to(host: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://{host}/"))
        .body(Full::default())
        .unwrap()
}

fn retry() -> RetryLayer {
    let backoff = Backoff::new(ms(10), ms(100)).unwrap();
    RetryLayer::builder().backoff(backoff).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_whole_stack_calls_a_host() {
    let retry = retry();
    let hedge = HedgeLayer::builder().inside(&retry).build().unwrap();
    let layer = ClientStack::new(retry)
        .hedge(hedge)
        .propagate(Downstream::new())
        .throttle(AdaptiveThrottle::new())
        .breaker(
            CircuitBreaker::new()
                .per_key(Authority, Missing::Admit, 100)
                .unwrap(),
        )
        .concurrency(ConcurrencyLimit::new(10).unwrap())
        .timeout(ms(500))
        .build();
    let callee = Callee::new([status(503), Answer::Late(ms(600))]);
    let mut request = to("a");
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(5)).unwrap();
    request.extensions_mut().insert(deadline);
    let answer = layer
        .layer(callee.service())
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let received = callee.received();
    assert_eq!(received.len(), 3, "a 503, a timeout, a success");
    for attempt in &received {
        let left: u128 = attempt.headers["plimsoll-timeout-ms"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(left, 5000 - attempt.at.as_millis(), "the deadline shrinks");
        assert_eq!(attempt.headers["plimsoll-criticality"], "CRITICAL");
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_counts_for_the_breaker_of_its_host_and_an_open_circuit_ends_the_call() {
    let breaker = CircuitBreaker::builder()
        .window(10)
        .min_calls(6)
        .build()
        .unwrap();
    let retry = retry();
    let handle = retry.handle();
    let layer = ClientStack::new(retry)
        .breaker(breaker.per_key(Authority, Missing::Admit, 100).unwrap())
        .build();
    let callee = Callee::new(vec![status(500); 4].into_iter().chain(vec![status(502); 2]));
    let client = layer.layer(callee.service());
    for _ in 0..4 {
        assert_eq!(
            client.clone().oneshot(to("bad")).await.unwrap().status(),
            500
        );
    }
    // The second attempt opens the circuit, which ends the call before its third.
    let answer = client.clone().oneshot(to("bad")).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["plimsoll-rejected-by"], "circuit-breaker");
    assert_eq!((callee.attempts(), handle.budget().taken()), (6, 2));
    assert_eq!(client.oneshot(to("good")).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_full_concurrency_limit_is_waited_for_until_the_deadline() {
    let layer = ClientStack::new(retry())
        .concurrency(ConcurrencyLimit::new(1).unwrap())
        .build();
    let callee = Callee::new(vec![Answer::Late(ms(200)); 5]);
    let client = layer.layer(callee.service());
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let mut request = to("a");
            let deadline = Deadline::after(Instant::now(), Duration::from_secs(60)).unwrap();
            request.extensions_mut().insert(deadline);
            let client = client.clone();
            tokio::spawn(async move {
                let answer = client.oneshot(request).await.unwrap();
                answer.status().as_u16()
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(callee.attempts(), 5);
}
