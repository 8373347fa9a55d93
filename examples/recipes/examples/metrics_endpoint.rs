//! Metrics endpoint: Prometheus text for gates, limits and values of your own.
//!
//! ```sh
//! cargo run -p recipes --example metrics_endpoint
//! for _ in 1 2 3; do curl http://127.0.0.1:3000/; done
//! curl http://127.0.0.1:3000/metrics
//! ```
//!
//! `plimsoll_admitted_total` is 2 and `plimsoll_rejected_total` is 1. `service_slots` shows the
//! concurrency limit. `docs/operations.md` lists the metrics to watch.

use std::{env, error::Error};

use axum::{Router, routing::get};
use plimsoll::{
    GateLayer,
    concurrency::ConcurrencyLimit,
    metrics::Metrics,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rate = RateLimit::new(Quota::per_minute(2))?;
    let limit = ConcurrencyLimit::new(64)?;
    let slots = limit.handle();

    let metrics = Metrics::new();
    let help = "Requests that may be in flight";
    metrics.gauge("service_slots", help, &[], move || slots.limit() as f64)?;
    // The name is the label `gate` of all series of this gate.
    let gate = GateLayer::builder((rate, limit))
        .observe(metrics.gate("edge"))
        .build();

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(gate)
        // Outside the gate: needed most while the gate rejects. Keep it away from users.
        .route_service("/metrics", metrics.service());

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
