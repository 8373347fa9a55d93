//! Load as a health check: `/health/load` for balancers, beside `/healthz` for restarts.
//!
//! ```sh
//! cargo run -p recipes --example health_load
//! curl -i http://127.0.0.1:3000/health/load
//! for _ in 1 2 3; do curl -s http://127.0.0.1:3000/slow & done; sleep 1; curl -i http://127.0.0.1:3000/health/load
//! ```
//!
//! The load is the requests in flight and in the queue, over the limit of two. With three slow
//! requests it is 1.5, above the limit of 1.2, so the check answers 503 and a balancer prefers other
//! instances. `/healthz` stays 200: a restart would make an overload worse.

use std::{env, error::Error, time::Duration};

use axum::{Router, routing::get};
use plimsoll::{GateLayer, concurrency::ConcurrencyLimit, metrics::Metrics};
use tokio::{net::TcpListener, time::sleep};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = ConcurrencyLimit::new(2)?.queue(8, Duration::from_secs(5))?;
    let metrics = Metrics::new();
    metrics.load("slots", limit.handle())?; // further signals: the highest one counts
    metrics.overloaded_at(1.2)?; // 1 by default: all slots are in use

    let app: Router = Router::new()
        .route("/slow", get(slow))
        .layer(GateLayer::new(limit))
        .route("/healthz", get(|| async { "ok" }))
        .route_service("/health/load", metrics.service());

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn slow() -> &'static str {
    sleep(Duration::from_secs(2)).await;
    "slow"
}
