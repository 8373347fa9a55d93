//! A tonic service behind Plimsoll. Run `cargo run -p greeter`, and call it with any gRPC client on
//! port 50051.
// This example prints to the terminal.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use greeter::{Greeter, Limits, proto::greeter_server::GreeterServer, stack};
use tonic::transport::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (layer, handles) = stack(Limits {
        reject_as_over_quota: 600,
        at_a_time: 100,
        at_least: Duration::from_millis(2),
        failures: 20,
    })?;
    let addr = "127.0.0.1:50051".parse()?;
    println!(
        "greeter.Greeter on {addr}, {} concurrent calls",
        handles.concurrency.limit()
    );
    let until = async { _ = tokio::signal::ctrl_c().await };
    Server::builder()
        .layer(layer)
        .add_service(GreeterServer::new(Greeter))
        .serve_with_shutdown(addr, until)
        .await?;
    Ok(())
}
