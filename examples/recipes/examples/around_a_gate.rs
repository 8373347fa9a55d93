//! CORS, tracing, timeout and compression around a gate: which layer goes outside, which inside.
//!
//! ```sh
//! cargo run -p recipes --example around_a_gate
//! curl -i --compressed -H 'origin: http://example.com' http://127.0.0.1:3000/
//! curl -i http://127.0.0.1:3000/slow
//! curl -i -H 'origin: http://example.com' http://127.0.0.1:3000/
//! ```
//!
//! The first request is answered in gzip. `/slow` is a 504 after 200 ms: the timeout is inside the
//! gate, so the gate counts a failure and releases the slot. The third request is a 429. It carries
//! the CORS headers, so that scripts in browsers can read it. The program prints a line for each
//! request, rejections included.

use std::{env, error::Error, time::Duration};

use axum::{
    Router,
    http::{HeaderName, Method, Response, StatusCode},
    routing::get,
};
use plimsoll::{
    GateLayer,
    rate_limit::{Quota, RateLimit},
};
use tokio::{net::TcpListener, time::sleep};
use tower::ServiceBuilder;
use tower_http::{
    compression::CompressionLayer,
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tracing::Span;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = RateLimit::new(Quota::per_minute(2))?;
    let trace = TraceLayer::new_for_http().on_response(log); // with tracing, log an event here
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET])
        // Without it, scripts cannot read the hint of a rejection.
        .expose_headers([HeaderName::from_static("retry-after")]);
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(200));

    // The first layer of a `ServiceBuilder` is the outermost.
    let layers = ServiceBuilder::new()
        .layer(trace) // outside: also logs rejections
        .layer(cors) // outside: answers preflights, which spend nothing
        .layer(CompressionLayer::new())
        .layer(GateLayer::new(limit))
        .layer(timeout); // inside
    let app: Router = Router::new()
        .route("/", get(|| async { "hello ".repeat(1_000) }))
        .route("/slow", get(|| sleep(Duration::from_secs(60))))
        .layer(layers);

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn log<B>(response: &Response<B>, latency: Duration, _: &Span) {
    println!("{} after {} ms", response.status(), latency.as_millis());
}
