//! WebSocket connections.
// The figures are read with `--nocapture`.
#![allow(clippy::print_stdout)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{Router, extract::State, response::Response, routing::any};
use plimsoll_stream::{
    DropReason, QueuePolicy,
    listener::BackpressureListener,
    websocket::{Handshake, WebSocketLimits, WebSockets},
};
use proofs::{
    client::{self, Pace},
    face::{
        self, EVERY, Face, Followed, PATIENCE, SIZE, WRITE_DEADLINE, busy_page, half_open_client,
        slow_clients,
    },
    proxy::{Kind, Wire},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::busy::page;

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

/// The connections of a server.
struct Ticker(WebSockets);

impl Face for Ticker {
    const WIRE: Wire = Wire::Http1;
    const CLIENT: &'static str = "websocket::client_process";

    async fn serve(ip: IpAddr, start: Instant) -> (Self, SocketAddr) {
        let sockets = WebSocketLimits::new(200, QueuePolicy::DropOldest)
            .max_bytes(1 << 20)
            .write_deadline(WRITE_DEADLINE)
            .build()
            .unwrap();
        let state = (sockets.clone(), start);
        let app = page("new WebSocket(`ws://${location.host}/ticks`)").route("/ticks", any(ticks));
        let app: Router = app.with_state(state);
        let tcp = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = tcp.local_addr().unwrap();
        let listener = BackpressureListener::builder(tcp);
        let listener = listener
            .write_deadline(Some(2 * WRITE_DEADLINE))
            .build()
            .unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        (Self(sockets), addr)
    }

    fn open(&self) -> usize {
        self.0.open()
    }

    fn bytes_out(&self) -> u64 {
        self.0.bytes_out()
    }

    fn check(&self) {
        let dropped = self.0.dropped(DropReason::Oldest);
        assert!(
            dropped > 0,
            "the oldest messages of the slow client are dropped"
        );
    }

    async fn follow(addr: SocketAddr, start: Instant, time: Duration) -> Followed {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let (mut rest, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        let (mut followed, mut next, mut in_frames) = (Followed::default(), 0, false);
        let end = Instant::now() + time;
        while Instant::now() < end {
            let n = timeout(PATIENCE, socket.read(&mut buffer)).await;
            let n = n.unwrap().unwrap();
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
                    followed.add(start, words.next().unwrap().parse().unwrap());
                }
                assert!(!text.contains("flow.gap"), "a healthy client loses nothing");
                rest.drain(..head + len);
                followed.bytes += len as u64;
            }
        }
        followed
    }

    async fn slow(addr: SocketAddr, pace: Pace) {
        client::run(addr, HANDSHAKE, pace).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_bounded_and_delay_no_other() {
    slow_clients::<Ticker>(Kind::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_nginx_are_bounded_and_delay_no_other() {
    slow_clients::<Ticker>(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_haproxy_are_bounded_and_delay_no_other() {
    slow_clients::<Ticker>(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_host_vanishes_is_bounded_and_delays_no_other() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        half_open_client::<Ticker>(kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_page_is_bounded_and_delays_no_other() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        busy_page::<Ticker>(kind).await;
    }
}

#[tokio::test]
#[ignore = "a client of the test above, which runs it in a process of its own"]
async fn client_process() {
    face::client_process::<Ticker>().await;
}
