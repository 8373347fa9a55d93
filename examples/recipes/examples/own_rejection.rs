//! Own rejection body: JSON in the format of your API, with all headers of the rejection.
//!
//! ```sh
//! cargo run -p recipes --example own_rejection
//! curl -i http://127.0.0.1:3000/
//! ```
//!
//! The second request within a moment is a 429 with the body
//! `{"error":"over-quota","retry_in_ms":59000}`. Status, `retry-after`, `ratelimit` and the other
//! headers stay as the gate wrote them.

use std::{env, error::Error};

use axum::{Router, body::Bytes, http::HeaderValue, routing::get};
use plimsoll::{
    GateLayer, Http, Rejection,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = RateLimit::new(Quota::per_minute(1).named("hello"))?;
    // The second argument is the head of the request, for a body by language or `accept`.
    let http = Http::new().body(|rejection, _request| own_body(rejection));
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::builder(limit).protocol(http).build());

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn own_body(rejection: &Rejection) -> (HeaderValue, Bytes) {
    let error = rejection.kind().as_str();
    let wait = rejection.retry_after().map(|wait| wait.as_millis());
    let wait = wait.map_or("null".into(), |wait| wait.to_string());
    let body = format!(r#"{{"error":"{error}","retry_in_ms":{wait}}}"#);
    (HeaderValue::from_static("application/json"), body.into())
}
