//! tonic server behind a gate: rejected calls get a gRPC status and the time to come back.
//!
//! ```sh
//! cargo run -p recipes --example tonic_server
//! printf '\0\0\0\0\5\12\3Ann' | curl -i --http2-prior-knowledge --data-binary @- \
//!     -H 'content-type: application/grpc' http://127.0.0.1:3000/greeter.Greeter/SayHello -o -
//! ```
//!
//! Each client address has six calls per minute, two of them at once. The third call within a moment
//! has `grpc-status: 8` (`RESOURCE_EXHAUSTED`) and `grpc-retry-pushback-ms`, which gRPC clients
//! obey. A streaming call holds its slot of the concurrency limit until its trailers.

use std::{env, error::Error};

use greeter::{Greeter, proto::greeter_server::GreeterServer};
use plimsoll::{
    ClientIp, Deadlines, GateLayer, Missing,
    concurrency::ConcurrencyLimit,
    rate_limit::{Quota, RateLimit},
};
use tonic::transport::{Server, server::TcpIncoming};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_minute(6).burst(2).named("per-client");
    // tonic leaves the peer address in the extensions; `ClientIp` reads it there.
    let rate = RateLimit::new(quota)?.per_key(ClientIp::peer(), Missing::Share, 100_000)?;
    // `Deadlines` reads `grpc-timeout`: a call that is already late is not run.
    let stack = (Deadlines::new(), rate, ConcurrencyLimit::adaptive());

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let incoming = TcpIncoming::bind(address.parse()?)?;
    println!("listening on http://{}", incoming.local_addr()?);
    Server::builder()
        .layer(GateLayer::new(stack))
        .add_service(GreeterServer::new(Greeter))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
