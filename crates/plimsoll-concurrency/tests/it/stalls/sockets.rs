//! Unread responses over real sockets, with hyper's own flow control: real time, short stalls.

use std::{convert::Infallible, future::ready, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    response::sse::{Event, Sse},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::GateLayer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, sleep},
};
use tower_http::timeout::{RequestBodyDeadlineLayer, RequestBodyTimeoutLayer};

use crate::{MS, woken};

/// The longest stall in these tests.
const STALL: Duration = Duration::from_millis(200);

/// A server with this limit and small send buffers.
struct Server {
    addr: SocketAddr,
    limit: ConcurrencyLimitHandle,
}

impl Server {
    fn start(slots: usize, stall: Duration) -> Self {
        let limit = ConcurrencyLimit::new(slots)
            .unwrap()
            .max_stall(stall)
            .unwrap();
        let handle = limit.handle();
        let app = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/large", get(|| async { Body::from_stream(large()) }))
            .route("/events", get(|| async { Sse::new(events()) }))
            .layer(GateLayer::new(limit));
        Self {
            addr: serve(app),
            limit: handle,
        }
    }

    /// Waits until this many requests hold a slot.
    async fn holds(&self, slots: usize) {
        holds(&self.limit, slots).await;
    }

    /// Sends requests until one is served. Returns for how long they were rejected.
    async fn is_served_after(&self) -> Duration {
        let since = Instant::now();
        assert_eq!(status(self.addr).await, 503, "all slots are taken");
        let served = async {
            while status(self.addr).await != 200 {
                sleep(10 * MS).await;
            }
        };
        woken(served).await;
        since.elapsed()
    }
}

fn serve(app: Router) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(64).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn holds(limit: &ConcurrencyLimitHandle, slots: usize) {
    let holds = async {
        while limit.in_flight() != slots {
            sleep(MS).await;
        }
    };
    woken(holds).await;
}

/// An endless stream of frames.
fn large() -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::repeat(Bytes::from_static(&[b'x'; 8 * 1024])).map(Ok)
}

/// One event, and then none until the client closes the stream.
fn events() -> impl futures_util::Stream<Item = Result<Event, Infallible>> + Send {
    stream::once(ready(Ok(Event::default().data("hello")))).chain(stream::pending())
}

/// Connects with a small receive buffer, and sends these bytes.
async fn send(addr: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut client = socket.connect(addr).await.unwrap();
    client.write_all(bytes).await.unwrap();
    client
}

async fn get_path(addr: SocketAddr, path: &str) -> TcpStream {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    send(addr, request.as_bytes()).await
}

/// Returns the status of a response, and its text.
async fn answer(client: &mut TcpStream) -> (u16, String) {
    let mut text = String::new();
    woken(client.read_to_string(&mut text)).await.unwrap();
    (text[9..12].parse().unwrap(), text)
}

async fn status(addr: SocketAddr) -> u16 {
    answer(&mut get_path(addr, "/").await).await.0
}

#[tokio::test]
async fn two_sockets_that_do_not_read_block_a_limit_of_two_for_one_stall() {
    let server = Server::start(2, STALL);
    let stopped = [
        get_path(server.addr, "/large").await,
        get_path(server.addr, "/large").await,
    ];
    server.holds(2).await;
    assert!(server.is_served_after().await >= STALL);
    // The buffers of the other connection may have taken a frame meanwhile, so its stall ends
    // later.
    assert!(server.limit.stalled() > 0);
    drop(stopped);
    server.holds(0).await;
}

/// An HTTP/2 frame with these flags.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// The frame of a complete request, `GET /large`.
fn headers(stream: u8) -> Vec<u8> {
    let (get, http, path, authority) = (0x82, 0x86, 0x44, 0x41);
    let block = [&[get, http, authority, 1, b'x', path, 6], &b"/large"[..]];
    let (headers, end_of_stream_and_headers) = (1, 5);
    frame(headers, end_of_stream_and_headers, stream, &block.concat())
}

#[tokio::test]
async fn streams_with_a_window_of_zero_block_a_limit_of_two_for_one_stall() {
    let server = Server::start(2, STALL);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let (settings, initial_window_size) = (4, 4);
    bytes.extend(frame(settings, 0, 0, &[0, initial_window_size, 0, 0, 0, 0]));
    bytes.extend([headers(1), headers(3)].concat());
    let connection = send(server.addr, &bytes).await;
    server.holds(2).await;
    assert!(server.is_served_after().await >= STALL);
    assert!(server.limit.stalled() > 0);
    drop(connection);
    server.holds(0).await;
}

#[tokio::test]
async fn a_caller_that_continues_to_read_gets_the_whole_response() {
    let server = Server::start(1, STALL);
    let mut late = get_path(server.addr, "/large").await;
    server.holds(1).await;
    server.is_served_after().await;
    let mut part = vec![0; 1 << 20];
    woken(late.read_exact(&mut part)).await.unwrap();
    assert!(part.starts_with(b"HTTP/1.1 200"));
    assert_eq!(status(server.addr).await, 200, "it has no slot any more");
    drop(late);
    server.holds(0).await;
}

#[tokio::test]
async fn a_slow_and_steady_reader_keeps_its_slot() {
    const STALL: Duration = Duration::from_secs(1);
    // Repeated if this machine pauses for longer than half a stall.
    for _ in 0..10 {
        let server = Server::start(1, STALL);
        let mut slow = get_path(server.addr, "/large").await;
        server.holds(1).await;
        let (since, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
        let mut part = vec![0; 32 * 1024];
        while since.elapsed() < 2 * STALL {
            woken(slow.read_exact(&mut part)).await.unwrap();
            longest = longest.max(last.elapsed());
            last = Instant::now();
            assert!(longest > STALL / 2 || status(server.addr).await == 503);
            sleep(20 * MS).await;
        }
        if longest < STALL / 2 {
            assert_eq!((server.limit.in_flight(), server.limit.stalled()), (1, 0));
            return;
        }
    }
    panic!("the machine is too slow for this test");
}

#[tokio::test]
async fn an_idle_event_stream_keeps_its_slot() {
    let server = Server::start(1, STALL);
    let mut stream = get_path(server.addr, "/events").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"data: hello\n\n\r\n") {
        woken(stream.read_buf(&mut seen)).await.unwrap();
    }
    let since = Instant::now();
    while since.elapsed() < 3 * STALL {
        assert_eq!(status(server.addr).await, 503);
        sleep(STALL / 10).await;
    }
    assert_eq!((server.limit.in_flight(), server.limit.stalled()), (1, 0));
}

/// A server that reads uploads, with this layer between the gate and the handler.
macro_rules! uploads {
    ($layer:expr) => {{
        let limit = ConcurrencyLimit::new(1).unwrap();
        let handle = limit.handle();
        let app = Router::new()
            .route("/", post(|all: Bytes| async move { all.len().to_string() }))
            .layer($layer)
            .layer(GateLayer::new(limit));
        (serve(app), handle)
    }};
}

const HALF: &[u8] =
    b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\nhalf.";

#[tokio::test]
async fn a_half_sent_upload_releases_its_slot_when_its_body_times_out() {
    let (addr, limit) = uploads!(RequestBodyTimeoutLayer::new(STALL));
    let mut half = send(addr, HALF).await;
    holds(&limit, 1).await;
    holds(&limit, 0).await;
    assert_eq!(answer(&mut half).await.0, 400);
    let whole = [HALF, b"whole"].concat();
    let (status, text) = answer(&mut send(addr, &whole).await).await;
    assert!(status == 200 && text.ends_with("10"), "{text}");
}

#[tokio::test]
async fn a_trickling_upload_releases_its_slot_at_its_deadline() {
    let (addr, limit) = uploads!((
        RequestBodyDeadlineLayer::new(2 * STALL),
        RequestBodyTimeoutLayer::new(STALL),
    ));
    let mut trickles = send(addr, HALF).await;
    holds(&limit, 1).await;
    let trickle = async {
        // Faster than the idle timeout.
        while trickles.write_all(b".").await.is_ok() && limit.in_flight() > 0 {
            sleep(STALL / 2).await;
        }
    };
    woken(trickle).await;
    holds(&limit, 0).await;
}

#[tokio::test]
async fn a_half_sent_upload_without_such_a_layer_keeps_its_slot() {
    let (addr, limit) = uploads!(tower::layer::util::Identity::new());
    let _half = send(addr, HALF).await;
    holds(&limit, 1).await;
    sleep(2 * STALL).await;
    assert_eq!(limit.in_flight(), 1);
}
