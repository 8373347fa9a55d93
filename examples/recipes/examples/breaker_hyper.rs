//! Circuit breaker per host around hyper-util's client: a reverse proxy for two dependencies.
//!
//! ```sh
//! cargo run -p recipes --example breaker_hyper
//! for _ in 1 2 3 4 5 6; do curl -i http://127.0.0.1:3000/broken; done
//! curl -i http://127.0.0.1:3000/healthy
//! ```
//!
//! `/broken` and `/healthy` are forwarded to two hosts. The first five requests to the broken host
//! return its 500. The sixth is a 503 with `plimsoll-rejected-by: circuit-breaker`, and that host is
//! not called. The healthy host has a breaker of its own and still answers.

use std::{env, error::Error, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plimsoll::{
    Authority, Gate, GateLayer, Http, Keyed, Missing, circuit_breaker::CircuitBreaker,
    protocol::ClientClassifier,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

type PerHost = Keyed<Authority, CircuitBreaker>;
type Guarded = Gate<Client<HttpConnector, Body>, PerHost, Http<ClientClassifier>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let breaker = CircuitBreaker::builder().min_calls(5).build()?;
    // One breaker for each host and port. A request without a host gets none.
    let per_host = breaker.per_key(Authority, Missing::Admit, 1_000)?;
    // `Http::client()` classifies as a client does: a 429 of the callee is an overload.
    let gate = GateLayer::builder(per_host)
        .protocol(Http::client())
        .build();
    let client = gate.layer(Client::builder(TokioExecutor::new()).build_http());

    let broken = upstream(StatusCode::INTERNAL_SERVER_ERROR).await?;
    let healthy = upstream(StatusCode::OK).await?;
    let app: Router = Router::new()
        .route("/broken", get(forward).with_state((client.clone(), broken)))
        .route("/healthy", get(forward).with_state((client, healthy)));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn forward(State((client, to)): State<(Guarded, SocketAddr)>) -> Response {
    let request = Request::get(format!("http://{to}/")).body(Body::empty());
    let Ok(request) = request else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match client.oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Stands for a dependency: answers every request with this status.
async fn upstream(status: StatusCode) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app: Router = Router::new().route("/", get(move || async move { status }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
