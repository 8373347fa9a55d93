//! Streams over real sockets.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use plimsoll_stream::sse::{SseEvent, Topic};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::client::Parser;

const PATIENCE: Duration = Duration::from_secs(20);

async fn serve(topic: &Topic) -> SocketAddr {
    let app: Router = Router::new().nest("/ticks", topic.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn connect(addr: SocketAddr, last_id: &str) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let head = format!("GET /ticks HTTP/1.1\r\nhost: x\r\nlast-event-id: {last_id}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

/// A client on a socket.
struct Client {
    socket: TcpStream,
    /// What was read and is not yet a complete chunk.
    rest: Vec<u8>,
    in_body: bool,
    parser: Parser,
}

impl Client {
    async fn connect(addr: SocketAddr, last_id: &str) -> Self {
        Self {
            socket: connect(addr, last_id).await,
            rest: Vec::new(),
            in_body: false,
            parser: Parser::default(),
        }
    }

    /// Reads until there are this many messages.
    async fn read(&mut self, messages: usize) {
        let mut buffer = vec![0; 64 << 10];
        let all = async {
            while self.parser.events.len() < messages {
                let n = self.socket.read(&mut buffer).await.unwrap();
                assert_ne!(n, 0, "the stream has ended");
                self.rest.extend_from_slice(&buffer[..n]);
                self.decode();
            }
        };
        timeout(PATIENCE, all).await.expect("the messages come");
    }

    /// Decodes complete chunks.
    fn decode(&mut self) {
        if !self.in_body {
            let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = end else { return };
            self.rest.drain(..end + 4);
            self.in_body = true;
        }
        while let Some(line) = self.rest.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let Some(chunk) = self.rest.get(line + 2..line + 2 + size) else {
                return;
            };
            if self.rest.len() < line + size + 4 {
                return;
            }
            self.parser.push(chunk);
            self.rest.drain(..line + size + 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_client_neither_slows_its_neighbours_nor_grows_the_log() {
    const EVENTS: usize = 3_000;
    let topic = Topic::builder().capacity(500).buffer(200).build().unwrap();
    let addr = serve(&topic).await;
    let stalled = connect(addr, "").await;
    let mut healthy = Client::connect(addr, "").await;
    until(|| topic.counters().clients == 2).await;
    // 12 MB, three times what the kernel takes for the client that reads nothing.
    let event = SseEvent::new(&"0".repeat(4_000));
    for n in 1..=EVENTS {
        topic.publish(event.clone()).unwrap();
        if n % 100 == 0 {
            healthy.read(n).await;
        }
    }
    assert_eq!(healthy.parser.events.len(), EVENTS);
    assert!(healthy.parser.named("gap").is_empty());
    assert!(
        topic.counters().bytes < 12 << 20 << 1,
        "{:?}",
        topic.counters()
    );
    drop(stalled);
    until(|| topic.counters().clients == 1).await;
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, so).await.expect("it becomes so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_is_counted_out() {
    let topic = Topic::builder().build().unwrap();
    let addr = serve(&topic).await;
    let mut client = Client::connect(addr, "").await;
    until(|| topic.counters().clients == 1).await;
    topic.publish(SseEvent::new("1")).unwrap();
    client.read(1).await;
    drop(client);
    until(|| {
        topic.publish(SseEvent::new("2")).unwrap();
        topic.counters().clients == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reconnects_over_sockets_sees_each_event_once() {
    let topic = Topic::builder().build().unwrap();
    let addr = serve(&topic).await;
    let mut last_id = topic.cursor().to_string();
    let mut all = Vec::new();
    for round in 0..10_u64 {
        for n in 1..=10 {
            topic
                .publish(SseEvent::new(&(round * 10 + n).to_string()))
                .unwrap();
        }
        let mut client = Client::connect(addr, &last_id).await;
        client.read(7).await;
        all.extend(client.parser.messages());
        last_id = client.parser.last_id;
    }
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(all.len() >= 70);
}

/// The rest of a stream: its last id.
async fn until_moved(addr: SocketAddr, last_id: &str) -> String {
    let mut client = Client::connect(addr, last_id).await;
    let is_moved = |client: &Client| {
        let flow = client.parser.named("flow");
        flow.iter().any(|flow| flow.contains("flow.poll"))
    };
    while !is_moved(&client) {
        client.read(client.parser.events.len() + 1).await;
    }
    client.parser.last_id
}

/// One request to the poll endpoint: what its answer states to poll with next.
async fn poll(addr: SocketAddr, after: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let head =
        format!("GET /ticks/poll?after={after} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(PATIENCE, socket.read_to_string(&mut answer));
    read.await.expect("an end").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-stream-cursor: "));
    line.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_from_polling_is_counted_once() {
    let topic = Topic::builder().acknowledge(2).buffer(100).poll_events(5);
    let topic = topic.ack_timeout(Duration::from_millis(50));
    let topic = topic.build().unwrap();
    let addr = serve(&topic).await;
    let start = topic.cursor().to_string();
    let returned = || topic.counters().returned;
    for n in 1..=12 {
        topic.publish(SseEvent::new(&n.to_string())).unwrap();
    }
    let first = until_moved(addr, &start).await;
    let second = until_moved(addr, &start).await;
    assert_eq!(topic.counters().moved_ack_timeout, 2);

    // A client that continues and was never moved does not count.
    let mut other = Client::connect(addr, &topic.cursor().to_string()).await;
    topic.publish(SseEvent::new("13")).unwrap();
    other.read(2).await;
    assert_eq!(returned(), 0);

    let mut cursor = first.clone();
    for _ in 0..3 {
        cursor = poll(addr, &cursor).await;
        assert_eq!(returned(), 0, "it still polls");
    }
    let mut client = Client::connect(addr, &cursor).await;
    client.read(1).await;
    assert_eq!(returned(), 1);
    // It is sent an id without the number of its move, so its next connection is no return.
    topic.publish(SseEvent::new("14")).unwrap();
    client.read(2).await;
    let plain = client.parser.last_id;
    assert_eq!(plain, topic.cursor().to_string());
    Client::connect(addr, &plain).await.read(1).await;
    // Nor is a repetition of what it came back with, as by a client that ignores new ids.
    Client::connect(addr, &cursor).await.read(1).await;
    assert_eq!(returned(), 1);

    Client::connect(addr, &second).await.read(1).await;
    assert_eq!((returned(), topic.counters().evicted_moves), (2, 0));
}
