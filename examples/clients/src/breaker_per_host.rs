//! Retries and a breaker per host, in the recommended order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use plimsoll::{
    Authority, Missing,
    circuit_breaker::CircuitBreaker,
    client::{Backoff, ClientStack, RetryLayer},
};
use tower::{Layer, ServiceExt};

use crate::{BoxError, serve};

/// What the caller sees.
#[derive(Debug, Default)]
pub struct Report {
    /// Answers of the good host with status 200, of a hundred.
    pub good: u32,
    /// Answers for the bad host that came from this process: its circuit was open.
    pub rejected: u32,
    /// Attempts that the bad host received for a hundred requests.
    pub attempts: u64,
}

/// Calls a good and a bad host a hundred times each.
pub async fn run() -> Result<Report, BoxError> {
    let attempts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&attempts);
    let good = serve(Router::new().route("/", get("hello"))).await?;
    let bad = serve(Router::new().route(
        "/",
        get(async move || {
            counted.fetch_add(1, Relaxed);
            StatusCode::BAD_GATEWAY
        }),
    ))
    .await?;

    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(10))?;
    let retry = RetryLayer::builder().backoff(backoff).build()?;
    let breaker = CircuitBreaker::builder().window(20).min_calls(10).build()?;
    let layer = ClientStack::new(retry)
        .breaker(breaker.per_key(Authority, Missing::Admit, 1_000)?)
        .timeout(Duration::from_secs(1))
        .build();
    let client = layer.layer(Client::builder(TokioExecutor::new()).build_http());

    let mut report = Report::default();
    for _ in 0..100 {
        for url in [&good, &bad] {
            let request = Request::get(url).body(Empty::<Bytes>::new())?;
            let answer = client.clone().oneshot(request).await?;
            if answer.status() == StatusCode::OK {
                report.good += 1;
            }
            if answer.headers().contains_key("plimsoll-rejected-by") {
                report.rejected += 1;
            }
        }
    }
    report.attempts = attempts.load(Relaxed);
    Ok(report)
}
