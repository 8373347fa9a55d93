//! `/health/ready`, and draining.

use std::time::Duration;

use http::header;
use plimsoll_core::figures;
use plimsoll_metrics::Metrics;
use tokio::time::{Instant, sleep};

use crate::{
    handle::Handle,
    support::{Play, run},
};

#[test]
fn readiness_is_a_switch_that_overload_does_not_move() {
    let metrics = Metrics::new();
    metrics.load("store", || 9.0).unwrap();
    assert_eq!(
        (
            metrics.health().status().as_u16(),
            metrics.ready().status().as_u16()
        ),
        (503, 200)
    );
    assert_eq!(metrics.ready().body(), "ready\n");
    metrics.clone().set_ready(false);
    let response = metrics.ready();
    assert_eq!(
        (response.status().as_u16(), response.body().as_str()),
        (503, "draining\n")
    );
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert!(!metrics.snapshot().is_ready);
    metrics.set_ready(true);
    assert!(metrics.is_ready() && metrics.ready().status() == 200);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_request() {
    let metrics = Metrics::new();
    for (gate, seconds) in [("edge", 3), ("store", 5)] {
        let gate = metrics.gate(gate);
        tokio::spawn(
            async move { run(&gate, Play::Answer(200, Duration::from_secs(seconds))).await },
        );
    }
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let draining = tokio::spawn({
        let metrics = metrics.clone();
        async move { metrics.drain(Duration::from_secs(60)).await }
    });
    sleep(Duration::from_millis(1)).await;
    assert!(!metrics.is_ready(), "at once");
    assert_eq!(draining.await.unwrap(), 0);
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(4) && took < Duration::from_millis(4_100),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_returns_what_is_left_at_its_deadline() {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    for _ in 0..3 {
        let gate = gate.clone();
        tokio::spawn(async move { run(&gate, Play::Hang).await });
    }
    let queue = Handle::with(&[(&figures::QUEUED, 2.0)]);
    metrics.watch("edge", queue).unwrap();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    assert_eq!(
        metrics.drain(Duration::from_secs(20)).await,
        5,
        "three in flight and two queued"
    );
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_requests_ends_at_once() {
    let metrics = Metrics::new();
    let start = Instant::now();
    assert_eq!(metrics.drain(Duration::MAX).await, 0);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(!metrics.is_ready());
}
