//! tonic client behind a gate: a circuit breaker around the channel, with the deadline propagated.
//!
//! ```sh
//! cargo run -p recipes --example tonic_client
//! curl http://127.0.0.1:3000/hello/Ann
//! for _ in 1 2 3 4 5 6; do curl -i http://127.0.0.1:3000/fail; done
//! ```
//!
//! An HTTP service that calls the greeter over gRPC. `/fail` makes the greeter answer with the
//! status `INTERNAL`: four times a 502. Then four of five calls have failed and the circuit opens:
//! the last two requests are a 503, for which the greeter is not called.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use greeter::{
    Greeter, HelloRequest,
    proto::{greeter_client::GreeterClient, greeter_server::GreeterServer},
};
use plimsoll::{
    Gate, GateLayer, Http, circuit_breaker::CircuitBreaker, protocol::ClientClassifier,
};
use tokio::net::TcpListener;
use tonic::{
    Code, Request,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::Layer;

type Client = GreeterClient<Gate<Channel, CircuitBreaker, Http<ClientClassifier>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let breaker = CircuitBreaker::builder().min_calls(5).build()?;
    let gate = GateLayer::builder(breaker).protocol(Http::client()).build();
    let channel = Channel::from_shared(format!("http://{}", greeter()?))?.connect_lazy();
    let client: Client = GreeterClient::new(gate.layer(channel));

    let hello = |State(client): State<Client>, Path(name): Path<String>| say_hello(client, name);
    // The greeter fails for an empty name.
    let fail = |State(client): State<Client>| say_hello(client, String::new());
    let app: Router = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/fail", get(fail))
        .with_state(client);

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn say_hello(mut client: Client, name: String) -> Result<String, StatusCode> {
    let mut request = Request::new(HelloRequest { name, count: 0 });
    request.set_timeout(Duration::from_secs(2)); // sent as `grpc-timeout`
    match client.say_hello(request).await {
        Ok(reply) => Ok(reply.into_inner().message),
        // The gate rejects with a gRPC status, as a server would.
        Err(status) if status.code() == Code::Unavailable => Err(StatusCode::SERVICE_UNAVAILABLE),
        Err(_) => Err(StatusCode::BAD_GATEWAY),
    }
}

/// Stands for a greeter on another machine.
fn greeter() -> Result<SocketAddr, Box<dyn Error>> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = incoming.local_addr()?;
    let server = Server::builder().add_service(GreeterServer::new(Greeter));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(address)
}
