//! Clients that break rules.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll_stream::{
    QueuePolicy,
    grpc::{Responses, Windows, gaps},
};
use tokio::net::TcpStream;
use tonic::transport::{Endpoint, Server};

use super::{
    super::queue,
    fixture::{Client, Count, in_time, message, read_all, serve, settled, until},
    relay::Relay,
};

/// Endless streams of producers that block; counts open streams, the most of them, and messages.
async fn endless(server: Server) -> (SocketAddr, Count, Count, Count) {
    let (open, most, sent) = (Count::default(), Count::default(), Count::default());
    let counts = (open.clone(), most.clone(), sent.clone());
    let addr = serve(server, move |path, _| {
        if path == "/finite" {
            return Ok(Count::default().messages(300).map(Ok).boxed());
        }
        let (open, most, sent) = counts.clone();
        let held = open.hold();
        while most.get() < open.get() {
            most.add();
        }
        let (sender, responses) = Responses::channel(queue(4, QueuePolicy::BLOCK), gaps::data_loss);
        tokio::spawn(async move {
            let mut seq = 0;
            while sender.send(message(seq)).await.is_ok() {
                sent.add();
                seq += 1;
            }
            drop(held);
        });
        Ok(responses.boxed())
    })
    .await;
    (addr, open, most, sent)
}

async fn others_are_served(addr: SocketAddr) {
    for _ in 0..5 {
        let client = Client::connect(addr).await;
        let answers = client.call("/finite").await;
        assert_eq!(read_all(&mut answers.unwrap()).await.0.len(), 300);
    }
}

#[tokio::test]
async fn a_client_that_opens_10_000_streams_is_bounded_and_others_are_served() {
    let (addr, open, most, sent) = endless(Windows::default().server(Server::builder())).await;
    // It does not wait for the server's settings.
    let socket = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_max_send_streams(10_000)
        .initial_stream_window_size(128 << 10)
        .initial_connection_window_size(128 << 20)
        .handshake::<_, Empty<bytes::Bytes>>(socket)
        .await
        .unwrap();
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let request = http::Request::post(format!("http://{addr}/"))
                .header("content-type", "application/grpc")
                .body(Empty::new())
                .unwrap();
            client.send_request(request)
        })
        .collect();
    let connection = tokio::spawn(connection);
    let mut calls = tokio::spawn(join_all(calls));
    let beside = others_are_served(addr);
    in_time("others", beside).await;
    // Most are reset; those that are open stay, or end with their connection.
    _ = tokio::time::timeout(Duration::from_secs(2), &mut calls).await;
    assert!(most.get() <= 100, "{} streams at once", most.get());
    let stopped = settled(|| sent.get()).await;
    // For each: the window, two chunks of tonic's encoder, its queue, and one that waits.
    assert!(stopped <= 100 * (128 + 2 * 33 + 4 + 1), "{stopped}");
    in_time("others", others_are_served(addr)).await;
    calls.abort();
    connection.abort();
    drop(client);
    until("all have ended", || open.get() == 0).await;
}

/// The negative control.
#[tokio::test]
async fn with_the_defaults_a_client_opens_as_many_streams_as_it_likes() {
    let (addr, open, ..) = endless(Server::builder()).await;
    let client = Client::connect(addr).await;
    let calls = join_all((0..300).map(|_| client.call("/")));
    let calls = in_time("all calls", calls).await;
    assert_eq!((calls.len(), open.get()), (300, 300));
}

#[tokio::test]
async fn a_client_that_obeys_waits_with_its_streams_and_loses_none() {
    let (addr, open, most, _) = endless(Windows::default().server(Server::builder())).await;
    let client = Client::connect(addr).await;
    let unread = join_all((0..99).map(|_| client.call("/"))).await;
    assert_eq!((unread.len(), open.get()), (99, 99));
    // One place is left, and 200 calls share it.
    let calls = join_all((0..200).map(|_| async {
        let mut answers = client.call("/finite").await.unwrap();
        read_all(&mut answers).await.0.len()
    }));
    let lens = in_time("all calls", calls).await;
    assert!(lens.into_iter().all(|len| len == 300));
    assert_eq!(most.get(), 99);
    in_time("others", others_are_served(addr)).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_ended_by_the_age_of_its_connection() {
    let age = Duration::from_millis(500);
    let server = Windows::default().server(Server::builder());
    let server = server.max_connection_age(age).max_connection_age_grace(age);
    let (addr, open, ..) = endless(server).await;
    let client = Client::connect(addr).await;
    let mut unread = client.call("/").await.unwrap();
    until("the place is free", || open.get() == 0).await;
    let (seqs, status) = read_all(&mut unread).await;
    assert!(seqs.iter().copied().eq(0..seqs.len() as u64));
    assert!(status.is_some(), "the client sees that it was cut");
}

/// As when the machine of the client is gone.
#[tokio::test]
async fn a_connection_without_an_answer_is_closed_by_the_keep_alive_of_either_side() {
    let open = Count::default();
    let counted = open.clone();
    let quick = Windows::builder()
        .keep_alive(Duration::from_millis(300), Duration::from_millis(300))
        .build()
        .unwrap();
    let addr = serve(quick.server(Server::builder()), move |_, _| {
        let held = counted.hold();
        let endless = stream::pending().map(move |()| {
            let _: &super::fixture::Held = &held;
            Ok(message(0))
        });
        Ok(endless.boxed())
    })
    .await;
    let relay = Relay::to(addr).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", relay.addr)).unwrap();
    let client = Client::with(quick.endpoint(endpoint)).await;
    let mut answers = client.call("/").await.unwrap();
    let waits = tokio::time::timeout(Duration::from_secs(1), answers.message());
    assert!(
        waits.await.is_err(),
        "an idle connection that answers pings stays"
    );
    assert_eq!(open.get(), 1);

    relay.silence();
    until("the server has closed it", || open.get() == 0).await;
    let closed = in_time("the client has closed it", answers.message()).await;
    assert!(closed.is_err());
}
