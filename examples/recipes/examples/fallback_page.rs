//! Fallback page: a substitute instead of an error, when the service is full or fails.
//!
//! ```sh
//! cargo run -p recipes --example fallback_page
//! curl -i http://127.0.0.1:3000/broken
//! curl -s http://127.0.0.1:3000/slow & sleep 0.2; curl -i http://127.0.0.1:3000/
//! ```
//!
//! The handler of `/broken` answers 500, and `/slow` occupies the only slot for two seconds. The
//! client gets the page with status 200 in both cases. `plimsoll-degraded` names the cause, and
//! `cache-control: no-store` keeps the page out of caches.

use std::{env, error::Error, time::Duration};

use axum::{
    Router,
    http::{Response, StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use plimsoll::{GateLayer, concurrency::ConcurrencyLimit, fallback::Fallback};
use tokio::{net::TcpListener, time::sleep};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let page = Response::builder()
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .body("<h1>Back in a moment</h1>")?;
    // The breaker and the limits of this gate still observe the failure, not the page.
    let gate = GateLayer::builder(ConcurrencyLimit::new(1)?)
        .protocol(Fallback::answer(page))
        .build();

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/broken",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route("/slow", get(slow))
        .layer(gate);

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
