//! Full stack: deadlines, a rate limit per client, load shedding, an adaptive concurrency limit, a
//! circuit breaker, a fallback answer and metrics, in one gate.
//!
//! ```sh
//! cargo run -p recipes --example full_stack
//! curl -i http://127.0.0.1:3000/
//! curl -i -H 'plimsoll-timeout-ms: 2' http://127.0.0.1:3000/
//! curl http://127.0.0.1:3000/metrics
//! ```
//!
//! The first request is a 200. The second leaves less time than an answer takes: it is not run, and
//! gets the fallback answer with `plimsoll-degraded`. The 21st request within a moment is a 429:
//! clients over their quota get no substitute. `/metrics` counts all of them.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{Router, http::Response, routing::get};
use plimsoll::{
    ByExtension, ByHeader, ClientIp, Deadlines, GateLayer, Missing,
    circuit_breaker::CircuitBreaker,
    concurrency::ConcurrencyLimit,
    fallback::Fallback,
    load_shed::{AdaptiveShed, QueueDelay},
    metrics::Metrics,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_minute(20).named("per-client");
    let rate = RateLimit::new(quota)?.per_key(ClientIp::peer(), Missing::Share, 100_000)?;
    let delay = QueueDelay::relative();
    let shed = AdaptiveShed::new(delay.clone());
    let limit = ConcurrencyLimit::adaptive().priorities(ByExtension);
    let breaker = CircuitBreaker::builder().window(100).failure_rate(0.5);

    let metrics = Metrics::new();
    metrics.load("service", limit.handle())?;

    // From left to right: policies about the caller, then policies that protect the service. When a
    // later policy rejects, the earlier ones take back what they granted.
    let stack = (
        Deadlines::propagated().at_least(Duration::from_millis(5)),
        rate,
        ByHeader::untrusted(ClientIp::peer()), // the priority that `shed` and `limit` read
        delay,
        shed,
        limit,
        breaker.build()?,
    );
    let gate = GateLayer::builder(stack)
        .protocol(Fallback::answer(Response::new("a cached answer")))
        .observe(metrics.gate("edge"))
        .build();

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(gate)
        // Outside the gate: needed most while the gate rejects.
        .route_service("/metrics", metrics.service())
        .route_service("/health/load", metrics.service());

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}
