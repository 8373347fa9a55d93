//! `reqwest` with retries. `reqwest::Client` is a Tower service, so a layer wraps it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header::RETRY_AFTER},
    response::IntoResponse,
    routing::put,
};
use plimsoll::client::{Backoff, RetryLayer};
use tower::{Layer, ServiceExt};

use crate::{BoxError, serve};

/// What the caller sees.
#[derive(Debug)]
pub struct Report {
    /// The last answer.
    pub status: u16,
    /// Its body, which is the request's.
    pub body: String,
    /// Attempts after the first one.
    pub retries: u64,
}

/// Stores a value at a server that answers 503 twice.
pub async fn run() -> Result<Report, BoxError> {
    let url = serve(flaky(2)).await?;
    let retry = RetryLayer::builder()
        .backoff(Backoff::new(
            Duration::from_millis(20),
            Duration::from_secs(1),
        )?)
        .attempt_timeout(Duration::from_secs(1))
        .total_timeout(Duration::from_secs(10))
        .build()?;
    let http = reqwest::Client::new();
    let client = retry.layer(http.clone());

    // `PUT` is idempotent; a `POST` is sent again only when nothing was run.
    let request = http.put(&url).body("a value").build()?;
    let answer = client.clone().oneshot(request).await?;
    Ok(Report {
        status: answer.status().as_u16(),
        body: answer.text().await?,
        retries: retry.handle().retries(),
    })
}

/// A server that answers 503 a number of times.
fn flaky(failures: u32) -> Router {
    let left = Arc::new(AtomicU32::new(failures));
    Router::new().route(
        "/",
        put(async move |body: String| {
            let fails = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
            if fails.is_ok() {
                return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "0")]).into_response();
            }
            body.into_response()
        }),
    )
}
