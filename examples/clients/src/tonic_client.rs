//! A tonic client that waits for the quota of its callee.

use std::time::Duration;

use greeter::{
    Greeter, HelloRequest,
    proto::{greeter_client::GreeterClient, greeter_server::GreeterServer},
};
use plimsoll::{
    GateLayer,
    client::RetryLayer,
    rate_limit::{Quota, RateLimit},
};
use tokio::{net::TcpListener, time::Instant};
use tonic::{
    body::Body,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;

use crate::BoxError;

/// What the caller sees.
#[derive(Debug)]
pub struct Report {
    /// The answers of three calls.
    pub greetings: Vec<String>,
    /// How long the three calls took.
    pub took: Duration,
    /// Retries that cost no budget: the server had run nothing.
    pub free: u64,
}

/// Calls a server three times that admits two calls per second.
pub async fn run() -> Result<Report, BoxError> {
    let address = serve().await?;
    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let retry = RetryLayer::builder()
        .grpc_unary(64 * 1024) // decides by the trailers
        .build()?;
    let stack = ServiceBuilder::new()
        .layer(retry.clone())
        // `Channel` has a body type of its own.
        .map_request(|req: http::Request<_>| req.map(Body::new))
        .service(channel);
    let mut client = GreeterClient::new(stack);

    let start = Instant::now();
    let mut greetings = Vec::new();
    for name in ["Ann", "Ben", "Cleo"] {
        let mut request = tonic::Request::new(HelloRequest {
            name: name.to_owned(),
            count: 0,
        });
        // The deadline spans all attempts, and each attempt carries what is left of it.
        request.set_timeout(Duration::from_secs(5));
        greetings.push(client.say_hello(request).await?.into_inner().message);
    }
    Ok(Report {
        greetings,
        took: start.elapsed(),
        free: retry.handle().free(),
    })
}

/// A greeter behind a rate limit, whose rejections carry `grpc-retry-pushback-ms`.
async fn serve() -> Result<std::net::SocketAddr, BoxError> {
    let limit = RateLimit::new(Quota::per_second(2).burst(1))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder()
        .layer(GateLayer::new(limit))
        .add_service(GreeterServer::new(Greeter));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(address)
}
