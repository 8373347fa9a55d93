//! `Reconnect` against a topic of `plimsoll-stream`, over sockets.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plimsoll_client::{Backoff, Reconnect, Reconnecting};
use plimsoll_stream::sse::{SseEvent, Topic};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc, time::timeout};

use crate::ms;

const EVENTS: u32 = 300;

/// A server with its own runtime: its shutdown cuts all connections, as the end of a process does.
fn serve(topic: &Topic, at: SocketAddr) -> (Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let router = topic.router();
    let (sent, received) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let listener = TcpListener::bind(at).await.unwrap();
        sent.send(listener.local_addr().unwrap()).unwrap();
        axum::serve(listener, router).await.unwrap();
    });
    let at = received.recv().unwrap();
    (runtime, at)
}

/// Waits until the connections and the listener are closed.
async fn stop(server: Runtime) {
    let stopped = tokio::task::spawn_blocking(|| server.shutdown_timeout(Duration::from_secs(10)));
    stopped.await.unwrap();
}

/// Follows the stream until the last event, and reports the data of each one.
async fn follow(at: SocketAddr, seen: mpsc::UnboundedSender<String>) -> u32 {
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let backoff = Backoff::new(ms(10), ms(50)).unwrap();
    let mut reconnect = Reconnect::new(backoff);
    let mut connections = 0;
    loop {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = format!("http://{at}/").parse().unwrap();
        reconnect.write_headers(request.headers_mut());
        let next = match client.request(request).await {
            Err(_) => reconnect.ended(),
            Ok(answer) => {
                let (head, mut body) = answer.into_parts();
                let mut next = reconnect.response(head.status, &head.headers);
                // What is not a whole event when the connection ends is discarded.
                let mut text = String::new();
                connections += u32::from(next == Reconnecting::Open);
                while let Some(Ok(frame)) = body.frame().await {
                    let data = frame.into_data().unwrap_or_default();
                    reconnect.received(&data);
                    text.push_str(std::str::from_utf8(&data).unwrap());
                    while let Some((event, rest)) = text.split_once("\n\n") {
                        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
                        let data: String = lines.map(str::trim_start).collect();
                        if data.starts_with('n') {
                            let is_last = data == format!("n{}", EVENTS - 1);
                            seen.send(data).unwrap();
                            if is_last {
                                return connections;
                            }
                        }
                        text = rest.to_owned();
                    }
                }
                if next == Reconnecting::Open {
                    next = reconnect.ended();
                }
                next
            }
        };
        match next {
            Reconnecting::After(wait) => tokio::time::sleep(wait).await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_of_a_topic_sees_each_event_once_though_its_server_restarts() {
    let topic = Topic::builder().capacity(1_000).buffer(1_000);
    let topic = topic.retry(ms(20)).build().unwrap();
    let (mut server, at) = serve(&topic, ([127, 0, 0, 1], 0).into());
    let (send, mut seen) = mpsc::unbounded_channel();
    let client = tokio::spawn(follow(at, send));
    // The first connection starts at the latest event.
    while topic.counters().clients == 0 {
        tokio::time::sleep(ms(5)).await;
    }
    let mut received = Vec::new();
    for n in 0..EVENTS {
        topic.publish(SseEvent::new(&format!("n{n}"))).unwrap();
        // Twice, some events have arrived, others are on their way, and others come while the server
        // is away.
        if n == 100 || n == 200 {
            let arrived = format!("n{}", n - 50);
            while received.last() != Some(&arrived) {
                received.push(seen.recv().await.unwrap());
            }
            stop(server).await;
            for away in 0..10 {
                topic
                    .publish(SseEvent::new(&format!("away {away}")))
                    .unwrap();
            }
            (server, _) = serve(&topic, at);
        }
    }
    let connections = timeout(Duration::from_secs(20), client).await.unwrap();
    assert!(connections.unwrap() >= 3, "it has connected again");
    while let Ok(data) = seen.try_recv() {
        received.push(data);
    }
    let expected: Vec<_> = (0..EVENTS).map(|n| format!("n{n}")).collect();
    assert_eq!(received, expected);
    stop(server).await;
}
