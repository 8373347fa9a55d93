//! WebSocket connections.
// The figures are read with `--nocapture`.
#![allow(clippy::print_stdout)]

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::State, response::Response, routing::any};
use plimsoll_stream::{
    DropReason, QueuePolicy,
    listener::BackpressureListener,
    websocket::{Handshake, WebSocketLimits, WebSockets},
};
use proofs::{
    client::{self, PACES, Pace},
    proxy::{Kind, Proxy},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// One message per millisecond for each client.
const EVERY: Duration = Duration::from_millis(1);
const SIZE: usize = 2_000;
const DEADLINE: Duration = Duration::from_secs(2);
const BOUND: u64 = 1 << 20;
const HANDSHAKE: &str = "GET /ticks HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Each client gets a message per millisecond; of a slow one the oldest are dropped.
async fn ticks(
    State((sockets, start)): State<(WebSockets, Instant)>,
    handshake: Handshake,
) -> Response {
    sockets.accept(handshake, move |client| async move {
        let padding = "x".repeat(SIZE);
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 0_u64.. {
            tick.tick().await;
            let micros = start.elapsed().as_micros();
            if client.try_send(format!("{n} {micros} {padding}")).is_err() {
                return;
            }
        }
    })
}

async fn serve(start: Instant) -> (WebSockets, SocketAddr) {
    let sockets = WebSocketLimits::new(200, QueuePolicy::DropOldest)
        .max_bytes(1 << 20)
        .write_deadline(DEADLINE)
        .build()
        .unwrap();
    let state = (sockets.clone(), start);
    let app: Router = Router::new().route("/ticks", any(ticks)).with_state(state);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::builder(tcp).write_deadline(Some(2 * DEADLINE));
    let listener = listener.build().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (sockets, addr)
}

/// Reads text frames of a server for a while. Returns the latencies, and the bytes of the frames.
async fn follow(addr: SocketAddr, start: Instant, time: Duration) -> (Vec<Duration>, usize) {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let (mut rest, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let (mut latencies, mut next, mut bytes, mut in_frames) = (Vec::new(), 0, 0, false);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let n = timeout(PATIENCE, socket.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(n, 0, "the connection is closed");
        rest.extend_from_slice(&buffer[..n]);
        if !in_frames {
            let Some(head) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            assert!(rest.starts_with(b"HTTP/1.1 101"));
            rest.drain(..head + 4);
            in_frames = true;
        }
        while let Some((len, head)) = frame(&rest) {
            if rest.len() < head + len {
                break;
            }
            // Text of the ticks begins with its number; pings and flow messages do not.
            let text = String::from_utf8_lossy(&rest[head..head + len]).into_owned();
            let mut words = text.split(' ');
            if let Some(Ok(number)) = words.next().map(str::parse::<u64>) {
                assert_eq!(number, next, "a healthy client loses nothing");
                next += 1;
                let micros = words.next().unwrap().parse().unwrap();
                latencies.push(
                    start
                        .elapsed()
                        .saturating_sub(Duration::from_micros(micros)),
                );
            }
            assert!(!text.contains("flow.gap"), "a healthy client loses nothing");
            rest.drain(..head + len);
            bytes += len;
        }
    }
    latencies.sort_unstable();
    (latencies, bytes)
}

/// Length and head of the first frame, which has no mask.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        126 => {
            let len = bytes.get(2..4)?;
            Some((u16::from_be_bytes([len[0], len[1]]).into(), 4))
        }
        len if len < 126 => Some((len.into(), 2)),
        _ => panic!("no frame is larger than 64 KiB"),
    }
}

async fn until(what: &str, sockets: &WebSockets, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let so = timeout(PATIENCE, so).await;
    assert!(so.is_ok(), "{what}: {} open", sockets.open());
}

async fn slow_clients(kind: Kind) {
    for pace in PACES {
        let start = Instant::now();
        let (sockets, server) = serve(start).await;
        let proxy = Proxy::start(kind, server).await.unwrap();
        let (alone, _) = follow(proxy.addr, start, Duration::from_secs(1)).await;
        until("the first is gone", &sockets, || sockets.open() == 0).await;
        let before = sockets.bytes_out();
        let addr = proxy.addr;
        let slow = tokio::spawn(async move { client::run(addr, HANDSHAKE, pace).await });
        until("the slow one is there", &sockets, || sockets.open() == 1).await;
        let (beside, bytes) = follow(proxy.addr, start, Duration::from_secs(4)).await;
        let taken = (sockets.bytes_out() - before).saturating_sub(bytes as u64);
        let p99 = |all: &[Duration]| all[all.len() * 99 / 100];
        println!(
            "{kind:?}, {pace:?}: {taken} bytes, {} dropped; p99 alone {:?}, beside {:?}",
            sockets.dropped(DropReason::Oldest),
            p99(&alone),
            p99(&beside)
        );
        assert!(taken < BOUND, "{kind:?}, {pace:?}: {taken} bytes");
        assert!(
            sockets.dropped(DropReason::Oldest) > 0,
            "the slow one loses the oldest"
        );
        let limit = p99(&alone) * 4 + Duration::from_millis(100);
        assert!(p99(&beside) < limit, "{:?} of {limit:?}", p99(&beside));
        if !matches!(pace, Pace::Slow { .. }) {
            until("the stalled one is gone", &sockets, || sockets.open() == 0).await;
        }
        slow.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_bounded_and_alone_with_it() {
    slow_clients(Kind::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_nginx_are_bounded_and_alone_with_it() {
    slow_clients(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_haproxy_are_bounded_and_alone_with_it() {
    slow_clients(Kind::HaProxy).await;
}
