//! Reads of which one in twenty is slow, with and without hedges.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use plimsoll::client::{HedgeLayer, RetryBudget};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};

use crate::{BoxError, serve};

const READS: usize = 300;
/// The time of a slow read.
pub const SLOW: Duration = Duration::from_millis(200);

/// What the caller sees.
#[derive(Debug)]
pub struct Report {
    /// The 99th percentile without hedges.
    pub plain: Duration,
    /// The 99th percentile with hedges.
    pub hedged: Duration,
    /// Second attempts.
    pub hedges: u64,
    /// Second attempts that answered first.
    pub won: u64,
}

/// Reads three hundred times without hedges, and as often with them.
pub async fn run() -> Result<Report, BoxError> {
    let url = serve(slow_at_times()).await?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    let plain = percentile(http, &url).await?;

    let url = serve(slow_at_times()).await?;
    // Hedges at the 90th percentile, since one read in twenty is slow; at most one for five reads.
    let hedge = HedgeLayer::builder()
        .percentile(0.9)
        .at_least(Duration::from_millis(5))
        .budget(RetryBudget::successes(0.2, 20)?)
        .build()?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    let hedged = percentile(hedge.layer(http), &url).await?;
    Ok(Report {
        plain,
        hedged,
        hedges: hedge.handle().hedges(),
        won: hedge.handle().won(),
    })
}

/// A server of which every twentieth answer is slow.
fn slow_at_times() -> Router {
    let reads = Arc::new(AtomicU32::new(0));
    Router::new().route(
        "/",
        get(async move || {
            if reads.fetch_add(1, Relaxed) % 20 == 19 {
                tokio::time::sleep(SLOW).await;
            }
            "a row"
        }),
    )
}

/// The 99th percentile of the reads after the first hundred, in which a hedge layer measures.
async fn percentile<S, B>(client: S, url: &str) -> Result<Duration, BoxError>
where
    S: Service<Request<Empty<Bytes>>, Response = http::Response<B>, Error: Into<BoxError>> + Clone,
{
    let mut took = Vec::new();
    for _ in 0..READS {
        let request = Request::get(url).body(Empty::new())?;
        let start = Instant::now();
        client.clone().oneshot(request).await.map_err(Into::into)?;
        took.push(start.elapsed());
    }
    let mut took = took.split_off(100);
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100])
}
