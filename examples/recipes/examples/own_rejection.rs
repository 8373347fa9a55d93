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

use axum::{
    Router,
    body::Body,
    http::{
        HeaderValue,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::map_response,
    response::Response,
    routing::get,
};
use plimsoll::{
    GateLayer, Rejection,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = RateLimit::new(Quota::per_minute(1).named("hello"))?;
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new(limit))
        .layer(map_response(own_body)); // outside the gate, so it gets the rejections

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// The gate leaves its `Rejection` in the extensions of the response.
async fn own_body(response: Response) -> Response {
    let Some(rejection) = response.extensions().get::<Rejection>().copied() else {
        return response;
    };
    let error = rejection.kind().as_str();
    let wait = rejection.retry_after().map(|wait| wait.as_millis());
    let wait = wait.map_or("null".into(), |wait| wait.to_string());
    let body = format!(r#"{{"error":"{error}","retry_in_ms":{wait}}}"#);

    let (mut head, _) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    head.headers.insert(CONTENT_TYPE, json);
    Response::from_parts(head, Body::from(body))
}
