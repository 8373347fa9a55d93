//! The memory of WebSocket connections. Alone in its program, since it counts allocations.
#![cfg(all(feature = "listener", feature = "websocket"))]

use axum::{Router, extract::State, routing::any};
use plimsoll_stream::{
    QueuePolicy,
    listener::BackpressureListener,
    websocket::{ClientSender, Handshake, WebSocketLimits, WebSockets},
};
use std::{io::Write as _, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::yield_now,
};

/// What the docs of the module state, in bytes.
const DOCUMENTED: i64 = 12 * 1024;
const CONNECTIONS: usize = 200;

async fn serve(
    limits: WebSocketLimits,
    senders: mpsc::UnboundedSender<ClientSender>,
) -> (SocketAddr, WebSockets) {
    let sockets = limits.build().unwrap();
    let app = Router::new()
        .route(
            "/",
            any(
                |State(sockets): State<WebSockets>, handshake: Handshake| async move {
                    sockets.accept(handshake, |client| async move {
                        _ = senders.send(client.sender());
                        while client.recv().await.is_some() {}
                    })
                },
            ),
        )
        .with_state(sockets.clone());
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(BackpressureListener::new(tcp), app).await });
    (addr, sockets)
}

/// Connections that are open and have exchanged one message.
async fn open(addr: SocketAddr, count: usize) -> Vec<std::net::TcpStream> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = TcpStream::connect(addr).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                       upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut last = [0; 4];
        while last != *b"\r\n\r\n" {
            last.rotate_left(1);
            last[3] = client.read_u8().await.unwrap();
        }
        // A ping, whose answer shows that all tasks have run.
        client.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
        assert_eq!(client.read_u16().await.unwrap(), 0x8a00);
        // Without the client's own share of tokio's memory.
        clients.push(client.into_std().unwrap());
    }
    clients
}

#[test]
fn an_idle_connection_stays_within_the_documented_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limits = WebSocketLimits::new(100, QueuePolicy::DropOldest);
    let (addr, sockets) = runtime.block_on(serve(limits, mpsc::unbounded_channel().0));
    let warm = runtime.block_on(open(addr, 20));
    let mut clients = Vec::new();
    let used = allocation_counter::measure(|| {
        clients = runtime.block_on(open(addr, CONNECTIONS));
    });
    assert_eq!(sockets.open(), warm.len() + clients.len());
    let each = used.bytes_current / CONNECTIONS as i64;
    assert!(each < DOCUMENTED, "{each} bytes per idle connection");
    // A far lower number would mean that the docs are wrong in the other direction.
    assert!(each > DOCUMENTED / 4, "{each} bytes per idle connection");
}

#[test]
fn a_stalled_client_stays_within_the_sum_of_the_bounds() {
    const QUEUE: usize = 256 * 1024;
    const MESSAGE: usize = 16 * 1024;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limits = WebSocketLimits::new(1_000, QueuePolicy::DropOldest)
        .max_bytes(QUEUE)
        .max_message_bytes(MESSAGE);
    let (senders, mut connected) = mpsc::unbounded_channel();
    let (addr, sockets) = runtime.block_on(serve(limits, senders));
    let warm = runtime.block_on(open(addr, 20));
    let mut clients = Vec::new();
    let used = allocation_counter::measure(|| {
        clients = runtime.block_on(open(addr, 1));
        runtime.block_on(async {
            // It sends the begin of a message and pings, and reads nothing.
            let mut unfinished = vec![0x02, 0xfe, 0x3f, 0xff, 0, 0, 0, 0];
            unfinished.resize(MESSAGE - 1 + 8, 0);
            clients[0].write_all(&unfinished).unwrap();
            for _ in 0..20 {
                clients[0].write_all(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
            }
            let mut sender = None;
            while let Ok(next) = connected.try_recv() {
                sender = Some(next);
            }
            let sender = sender.unwrap();
            for _ in 0..5_000 {
                sender.try_send(vec![b'x'; 1_000]).unwrap();
                yield_now().await;
            }
        });
    });
    assert_eq!(sockets.open(), warm.len() + 1);
    let (write_buffer, pongs) = (8 * 1024, 16 * 1024);
    let bound = DOCUMENTED + (QUEUE + write_buffer + pongs + 3 * MESSAGE) as i64;
    let used = used.bytes_current;
    assert!(used < bound, "{used} bytes, the bound is {bound}");
    assert!(used > QUEUE as i64 / 2, "{used} bytes: the queue is full");
}
