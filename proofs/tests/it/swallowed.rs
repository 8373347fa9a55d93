//! A negative control: behind a proxy that swallows one frame, the check of the numbers fails.

use std::net::SocketAddr;

use axum::Router;
use plimsoll_stream::sse::{SseEvent, Topic};
use proofs::events::Events;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Passes a response on without the chunk that has this text.
async fn swallow(server: SocketAddr, text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let mut buffer = vec![0; 64 << 10];
        // The test publishes the next event only when the last one was written, so each comes alone.
        while let Ok(n) = from_server.read(&mut buffer).await {
            if n == 0 {
                break;
            }
            if !String::from_utf8_lossy(&buffer[..n]).contains(text) {
                to_client.write_all(&buffer[..n]).await.unwrap();
            }
        }
    });
    addr
}

/// Whether the numbers of the events are without a gap, and each gap is announced.
async fn is_contiguous(addr: SocketAddr, topic: &Topic, count: u64) -> bool {
    let mut events = Events::connect(addr, "/", "").await.unwrap();
    assert!(events.next().await.unwrap().unwrap().contains("retry: "));
    let mut last = topic.cursor().seq;
    for n in 1..=count {
        let delivered = topic.counters().hub.delivered;
        topic
            .publish(SseEvent::new(&format!("event {n}.")))
            .unwrap();
        while topic.counters().hub.delivered == delivered {
            tokio::task::yield_now().await;
        }
    }
    // The last event is not swallowed, so this ends.
    while last < topic.cursor().seq {
        let event = events.next().await.unwrap().unwrap();
        let id = event
            .strip_prefix("id: ")
            .unwrap()
            .split('\n')
            .next()
            .unwrap();
        let seq: u64 = id.split_once('.').unwrap().1.parse().unwrap();
        if seq != last + 1 {
            return false;
        }
        last = seq;
    }
    true
}

#[tokio::test]
async fn a_swallowed_frame_is_seen_by_its_number() {
    let topic = Topic::builder().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let app: Router = topic.router();
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert!(is_contiguous(server, &topic, 20).await);
    let proxy = swallow(server, "event 7.").await;
    assert!(!is_contiguous(proxy, &topic, 20).await);
}
