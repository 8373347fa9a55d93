//! Circuit breaker around reqwest: a dependency that fails is not called for a while.
//!
//! ```sh
//! cargo run -p recipes --example breaker_reqwest
//! for _ in 1 2 3 4 5 6; do curl -i http://127.0.0.1:3000/; done
//! curl http://127.0.0.1:3000/circuit
//! ```
//!
//! `/` calls the dependency, which is `/broken` of this program and answers 500. The first five
//! requests are a 502. Then the circuit opens: the sixth request is a 503 with `retry-after`, and
//! the dependency is not called. Set `UPSTREAM` to the URL of another dependency.

use std::{env, error::Error, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::get,
};
use plimsoll::{Class, GateLayer, Plain, PlainError, circuit_breaker::CircuitBreaker};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let url = env::var("UPSTREAM").unwrap_or_else(|_| format!("http://{address}/broken"));

    let breaker = CircuitBreaker::builder()
        .window(20)
        .min_calls(5)
        .open_for(Duration::from_secs(10))
        .build()?;
    let handle = breaker.handle();
    // A `reqwest::Request` is no `http::Request`, so the protocol is `Plain`: a rejection is an
    // error, and a function classifies results.
    let plain = Plain::new().classify(classify);
    // The timeout is inside the gate, so a call that hangs is a failure.
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .no_proxy()
        .build()?;
    let gate = GateLayer::builder(breaker).protocol(plain).build();
    let client = gate.layer(http.clone());

    let call = move || call(client.clone(), http.get(&url));
    let circuit = move || async move { handle.state().to_string() };
    let broken = || async { StatusCode::INTERNAL_SERVER_ERROR };
    let app: Router = Router::new()
        .route("/", get(call))
        .route("/circuit", get(circuit))
        .route("/broken", get(broken));

    println!("listening on http://{address}");
    axum::serve(listener, app).await?;
    Ok(())
}

fn classify(result: Result<&reqwest::Response, &reqwest::Error>) -> Class {
    match result {
        Ok(response) if !response.status().is_server_error() => Class::Success,
        _ => Class::Failure,
    }
}

async fn call<S>(client: S, request: reqwest::RequestBuilder) -> Response
where
    S: Service<reqwest::Request, Response = reqwest::Response, Error = PlainError>,
{
    let Ok(request) = request.build() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let error = match client.oneshot(request).await {
        Ok(response) if response.status().is_success() => {
            return "the dependency answered".into_response();
        }
        Ok(_) => return StatusCode::BAD_GATEWAY.into_response(),
        Err(error) => error,
    };
    let Some(rejection) = PlainError::rejection_in(&error) else {
        return StatusCode::BAD_GATEWAY.into_response(); // the call was sent, and failed
    };
    let wait = rejection.retry_after().unwrap_or_default();
    let hint = [(RETRY_AFTER, wait.as_secs_f64().ceil().to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, hint, "the circuit is open").into_response()
}
