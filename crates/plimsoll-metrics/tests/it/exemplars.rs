//! Exemplars of a real gate.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response, StatusCode};
use plimsoll_core::GateLayer;
use plimsoll_metrics::{Exemplar, GateMetrics, Metrics};
use tokio::time::{advance, sleep};
use tower::{Layer, ServiceExt};

use crate::support::millis;

/// One request that takes `time` and is answered with `status`.
async fn call(gate: &GateMetrics, traceparent: Option<&str>, time: Duration, status: u16) {
    let layer = GateLayer::builder((gate.exemplars(), ()))
        .observe(gate.clone())
        .build();
    let service = layer.layer(tower::service_fn(async |req: Request<(Duration, u16)>| {
        let (time, status) = *req.body();
        sleep(time).await;
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok::<_, Infallible>(response)
    }));
    let mut req = Request::new((time, status));
    if let Some(traceparent) = traceparent {
        let value = traceparent.parse().unwrap();
        req.headers_mut().insert("traceparent", value);
    }
    service.oneshot(req).await.unwrap();
}

fn traceparent(trace: u128, flags: u8) -> String {
    format!("00-{trace:032x}-b7ad6b7169203331-{flags:02x}")
}

fn kept(gate: &GateMetrics) -> Vec<(Duration, u128)> {
    let exemplars = gate.snapshot().exemplars.into_iter();
    exemplars
        .map(|Exemplar { latency, trace, .. }| (latency, trace))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_latest_sampled_request_of_each_bucket_is_kept() {
    let gate = Metrics::new().gate("g");
    call(&gate, Some(&traceparent(7, 1)), millis(80), 200).await;
    call(&gate, Some(&traceparent(8, 1)), millis(3), 404).await;
    // Not sampled, no trace, malformed, overloaded: nothing to look at, or not in the latency.
    call(&gate, Some(&traceparent(9, 0)), millis(300), 200).await;
    call(&gate, None, millis(300), 200).await;
    call(&gate, Some("00-7-1-01"), millis(300), 200).await;
    call(&gate, Some(&traceparent(9, 1)), millis(300), 503).await;
    assert_eq!(kept(&gate), [(millis(3), 8), (millis(80), 7)]);
}

#[tokio::test(start_paused = true)]
async fn an_exemplar_is_replaced_after_a_second() {
    let gate = Metrics::new().gate("g");
    call(&gate, Some(&traceparent(1, 1)), millis(20), 200).await;
    call(&gate, Some(&traceparent(2, 1)), millis(21), 200).await;
    assert_eq!(kept(&gate), [(millis(20), 1)]);
    advance(Duration::from_secs(1)).await;
    call(&gate, Some(&traceparent(u128::MAX, 3)), millis(22), 200).await;
    assert_eq!(kept(&gate), [(millis(22), u128::MAX)]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_without_the_policy_has_no_exemplars() {
    let gate = Metrics::new().gate("g");
    assert!(gate.snapshot().exemplars.is_empty());
}

#[tokio::test(start_paused = true)]
async fn openmetrics_names_the_trace_in_its_bucket_and_the_classic_text_does_not() {
    let metrics = Metrics::new();
    let gate = metrics.gate("g");
    call(&gate, Some(&traceparent(0xabc, 1)), millis(80), 200).await;
    let line = format!(
        r#"plimsoll_latency_seconds_bucket{{gate="g",le="0.1"}} 1 # {{trace_id="{:032x}"}} 0.08"#,
        0xabc
    );
    let openmetrics = metrics.openmetrics().into_body();
    let named: Vec<_> = openmetrics
        .lines()
        .filter(|line| line.contains(" # "))
        .collect();
    assert_eq!(named, [line]);
    assert!(!metrics.prometheus().body().contains(" # "));
}
