//! The memory of an idle WebSocket connection. Alone in its program, since it counts allocations.
#![cfg(all(feature = "listener", feature = "websocket"))]

use axum::{Router, extract::State, routing::any};
use plimsoll_stream::{
    QueuePolicy,
    listener::BackpressureListener,
    websocket::{Handshake, WebSocketLimits, WebSockets},
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What the docs of the module state, in bytes.
const DOCUMENTED: i64 = 12 * 1024;
const CONNECTIONS: usize = 200;

async fn serve() -> (SocketAddr, WebSockets) {
    let sockets = WebSocketLimits::new(100, QueuePolicy::DropOldest)
        .build()
        .unwrap();
    let app = Router::new()
        .route(
            "/",
            any(
                |State(sockets): State<WebSockets>, handshake: Handshake| async move {
                    sockets.accept(handshake, |client| async move {
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
    let (addr, sockets) = runtime.block_on(serve());
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
