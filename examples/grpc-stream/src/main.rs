//! A ticker over gRPC. `cargo run -p grpc-stream` runs the server and three clients in one process;
//! see README.md for separate ones.
// This example prints to the terminal.
#![allow(clippy::print_stdout)]

use std::{env, net::SocketAddr, time::Duration};

use grpc_stream::{Ticker, WatchRequest, proto::ticker_server::TickerServer, publish, pull, watch};
use plimsoll_stream::{
    Hub,
    grpc::{StreamServer, Windows},
};
use tokio::{net::TcpListener, time::sleep};
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const ADDR: &str = "127.0.0.1:50052";
/// How long ticks are published.
const TIME: Duration = Duration::from_secs(6);
/// How long the slow client takes for each tick. One in a millisecond is published twice.
const SLOW: Duration = Duration::from_millis(1);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => together().await,
        ["serve"] => serve(TcpListener::bind(ADDR).await?).await,
        ["fast"] => fast(connect(ADDR.parse()?).await?).await,
        ["slow"] => slow(connect(ADDR.parse()?).await?).await,
        ["credit"] => credit(connect(ADDR.parse()?).await?).await,
        _ => Err("usage: grpc-stream [serve | fast | slow | credit]".into()),
    }
}

/// The server, and three clients on one connection.
async fn together() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let channel = connect(listener.local_addr()?);
    let server = tokio::spawn(serve(listener));
    let channel = channel.await?;
    let (fast, slow, credit) = tokio::join!(
        fast(channel.clone()),
        slow(channel.clone()),
        credit(channel.clone()),
    );
    drop(channel);
    fast.and(slow).and(credit)?;
    server.await?
}

/// Publishes for a while, serves until all clients are gone, and prints the counters.
async fn serve(listener: TcpListener) -> Result<(), Error> {
    let hub = Hub::new(4_000)?;
    let ticks = tokio::spawn(publish(hub.clone(), TIME));
    let until = {
        let hub = hub.clone();
        async move {
            _ = ticks.await;
            while hub.subscribers() > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        }
    };
    println!("server: ticker.Ticker on {}", listener.local_addr()?);
    // Without `TCP_NODELAY` each tick waits up to 40 ms for the acknowledgement of the last.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let routes = Routes::new(TickerServer::new(Ticker::new(hub.clone())));
    // A client that reads nothing for this time is ended, which tonic's own server cannot do.
    let server = StreamServer::builder().write_deadline(Duration::from_secs(10));
    server
        .build()?
        .serve_with_shutdown(incoming, routes, until)
        .await;
    println!("server: {:?}", hub.counters());
    Ok(())
}

async fn connect(addr: SocketAddr) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}"))?;
    Ok(Windows::default().endpoint(endpoint).connect().await?)
}

async fn fast(channel: Channel) -> Result<(), Error> {
    let seen = watch(channel, WatchRequest::default(), Duration::ZERO).await?;
    println!("fast: {seen}");
    Ok(())
}

/// Is disconnected, waits for as long as the status states, and continues where it was, with gaps.
async fn slow(channel: Channel) -> Result<(), Error> {
    let seen = watch(channel.clone(), WatchRequest::default(), SLOW).await?;
    println!("slow: {seen}");
    let Some(status) = seen.status else {
        return Ok(());
    };
    let metadata = |key| {
        status
            .metadata()
            .get(key)
            .and_then(|value| value.to_str().ok())
    };
    let pushback = metadata("grpc-retry-pushback-ms").and_then(|millis| millis.parse().ok());
    sleep(Duration::from_millis(pushback.unwrap_or(1_000))).await;
    let request = WatchRequest {
        cursor: metadata("plimsoll-cursor").unwrap_or_default().to_owned(),
        skip: true,
    };
    match watch(channel, request, SLOW).await {
        Ok(seen) => println!("slow, again: {seen}"),
        Err(status) => println!("slow, again: {}", status.message()),
    }
    Ok(())
}

async fn credit(channel: Channel) -> Result<(), Error> {
    let (seen, asked) = pull(channel, 100 * SLOW).await?;
    println!("credit: asked for {asked}, {seen}");
    Ok(())
}
