//! The bounded listener, over real sockets.

use std::{
    io::IoSlice,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use axum::{
    Router,
    extract::ConnectInfo,
    routing::get,
    serve::{Listener, ListenerExt as _},
};
use futures_util::poll;
use plimsoll_concurrency::{BoundedListener, InvalidListener, ListenerHandle};
use plimsoll_core::LoadSignal as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::woken;

async fn listener(connections: usize) -> (BoundedListener<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (BoundedListener::new(listener, connections).unwrap(), addr)
}

/// A server behind a listener with these limits.
pub(crate) async fn serve(connections: usize, per_address: usize) -> (SocketAddr, ListenerHandle) {
    let (listener, addr) = listener(connections).await;
    let listener = listener.per_address(per_address).unwrap();
    let handle = listener.handle();
    let app = Router::new()
        .route(
            "/",
            get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.to_string() }),
        )
        .route("/hang", get(std::future::pending::<&str>))
        .route(
            "/panic",
            get(|| async { if true { panic!("a handler's bug") } else { "" } }),
        );
    let listener = listener.tap_io(|io| io.get_ref().set_nodelay(true).unwrap());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (addr, handle)
}

/// Sends a request on a connection, which stays open.
pub(crate) async fn ask(socket: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
}

/// Returns what the server sends; empty when it has closed the connection.
pub(crate) async fn answer(socket: &mut TcpStream) -> String {
    let mut buffer = [0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut buffer));
    let read = read.await.expect("an answer").unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// Polls a condition, since sockets need real time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not reached: {what}");
}

#[tokio::test]
async fn while_it_is_full_connections_wait_in_the_backlog_and_are_accepted_in_order() {
    let (mut listener, addr) = listener(2).await;
    let handle = listener.handle();
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(TcpStream::connect(addr).await.unwrap());
    }
    let mut inside = Vec::new();
    for (n, client) in clients.iter().enumerate() {
        if n >= 2 {
            assert_eq!((handle.open(), handle.load()), (2, 1.0));
            assert!(
                poll!(pin!(listener.accept())).is_pending(),
                "the connection is there, and is not accepted"
            );
            drop(inside.remove(0));
        }
        let (io, from) = woken(listener.accept()).await;
        assert_eq!(from, client.local_addr().unwrap(), "in order");
        inside.push(io);
    }
    assert_eq!(
        (handle.open(), handle.accepted(), handle.rejected()),
        (2, 5, 0)
    );
    drop(inside);
    assert_eq!(handle.open(), 0);
}

#[tokio::test]
async fn a_waiting_accept_is_woken_only_when_there_is_room() {
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (mut listener, addr) = listener(1).await;
    let handle = listener.handle();
    let first = TcpStream::connect(addr).await.unwrap();
    let (held, _) = woken(listener.accept()).await;
    let second = TcpStream::connect(addr).await.unwrap();
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut accept = pin!(listener.accept());
    let mut poll_once = || accept.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll_once().is_pending());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(woken.0.load(SeqCst), 0, "it does not poll by itself");
    handle.set_limit(2).unwrap();
    assert_eq!(woken.0.load(SeqCst), 1);
    let Poll::Ready((_second, from)) = poll_once() else {
        panic!("there is room, and a connection in the backlog");
    };
    assert_eq!(from, second.local_addr().unwrap());
    drop((first, held));
}

#[tokio::test]
async fn a_cancelled_accept_has_taken_no_place() {
    let (mut listener, addr) = listener(1).await;
    let handle = listener.handle();
    for _ in 0..3 {
        assert!(poll!(pin!(listener.accept())).is_pending());
    }
    let _client = TcpStream::connect(addr).await.unwrap();
    let (held, _) = woken(listener.accept()).await;
    {
        let mut waits = pin!(listener.accept());
        assert!(poll!(&mut waits).is_pending());
        // Notified that there is room, it is dropped without a poll.
        drop(held);
    }
    assert_eq!(handle.open(), 0);
    let _client = TcpStream::connect(addr).await.unwrap();
    woken(listener.accept()).await;
}

#[tokio::test]
async fn a_lower_limit_keeps_open_connections() {
    let (mut listener, addr) = listener(3).await;
    let handle = listener.handle();
    let mut inside = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(TcpStream::connect(addr).await.unwrap());
        inside.push(woken(listener.accept()).await);
    }
    handle.set_limit(1).unwrap();
    clients.push(TcpStream::connect(addr).await.unwrap());
    while let Some(io) = inside.pop() {
        assert!(poll!(pin!(listener.accept())).is_pending());
        drop(io);
    }
    woken(listener.accept()).await;
}

#[tokio::test]
async fn a_server_accepts_connections_as_others_close() {
    let (addr, handle) = serve(2, 100).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = TcpStream::connect(addr).await.unwrap();
        ask(&mut client, "/").await;
        clients.push(client);
    }
    for mut client in clients {
        let said = answer(&mut client).await;
        let from = client.local_addr().unwrap().to_string();
        assert!(
            said.starts_with("HTTP/1.1 200") && said.ends_with(&from),
            "{said}"
        );
        assert!(handle.open() <= 2);
        // The client is dropped here, and the next connection is accepted.
    }
    until("all connections are closed", || handle.open() == 0).await;
    assert_eq!(handle.accepted(), 6);
}

#[tokio::test]
async fn one_address_is_limited_and_does_not_block_others() {
    let (addr, handle) = serve(10, 2).await;
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(addr).await.unwrap();
        ask(&mut client, "/").await;
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
        inside.push(client);
    }
    for rejected in 1..=3 {
        let mut third = TcpStream::connect(addr).await.unwrap();
        assert_eq!(answer(&mut third).await, "", "closed at once");
        assert_eq!((handle.rejected(), handle.open()), (rejected, 2));
    }
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(addr).await.unwrap();
    ask(&mut other, "/").await;
    assert!(
        answer(&mut other)
            .await
            .ends_with(&other.local_addr().unwrap().to_string())
    );
    assert_eq!((handle.open(), handle.addresses()), (3, 2));

    drop(inside.pop());
    until("a place of the first address is free", || {
        handle.open() == 2
    })
    .await;
    let mut fourth = TcpStream::connect(addr).await.unwrap();
    ask(&mut fourth, "/").await;
    assert!(answer(&mut fourth).await.starts_with("HTTP/1.1 200"));
    // A new limit applies at once.
    handle.set_per_address(3).unwrap();
    let mut fifth = TcpStream::connect(addr).await.unwrap();
    ask(&mut fifth, "/").await;
    assert!(answer(&mut fifth).await.starts_with("HTTP/1.1 200"));
    drop((inside, other, fourth, fifth));
    until("all places are released", || {
        (handle.open(), handle.addresses()) == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn the_place_of_a_connection_is_released_however_it_ends() {
    let (addr, handle) = serve(1, 1).await;
    for path in ["/hang", "/panic", "/"] {
        let mut client = TcpStream::connect(addr).await.unwrap();
        ask(&mut client, path).await;
        if path != "/hang" {
            answer(&mut client).await;
        }
        drop(client);
    }
    // Slow clients: no data at all, and half of a request.
    for part in ["", "GET / HTTP/1.1\r\nhost"] {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(part.as_bytes()).await.unwrap();
        drop(client);
    }
    let gone = || (handle.open(), handle.addresses()) == (0, 0);
    until("all places are released", || {
        gone() && handle.accepted() + handle.rejected() == 5
    })
    .await;
    let mut last = TcpStream::connect(addr).await.unwrap();
    ask(&mut last, "/").await;
    assert!(answer(&mut last).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_guarded_io_behaves_as_the_inner_io() {
    let (mut listener, addr) = listener(1).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    let (mut io, _) = woken(listener.accept()).await;
    assert!(tokio::io::AsyncWrite::is_write_vectored(&io));
    let parts = [IoSlice::new(b"two "), IoSlice::new(b"parts")];
    assert_eq!(io.write_vectored(&parts).await.unwrap(), 9, "in one call");
    io.flush().await.unwrap();
    io.shutdown().await.unwrap();
    let mut said = String::new();
    woken(client.read_to_string(&mut said)).await.unwrap();
    assert_eq!(said, "two parts");
    client.write_all(b"thanks").await.unwrap();
    drop(client);
    said.clear();
    woken(io.read_to_string(&mut said)).await.unwrap();
    assert_eq!(said, "thanks");
    assert_eq!(listener.local_addr().unwrap(), addr);
    assert_eq!(io.get_mut().local_addr().unwrap(), addr);
}

#[tokio::test]
async fn limits_out_of_bounds_are_errors() {
    let (listener, _) = listener(1).await;
    let handle = listener.handle();
    for bad in [0, (1 << 20) + 1] {
        assert_eq!(
            handle.set_limit(bad),
            Err(InvalidListener::Connections(bad))
        );
    }
    assert_eq!(handle.per_address(), None);
    assert_eq!(handle.set_per_address(5), Err(InvalidListener::NotCounted));
    let listener = listener.per_address(7).unwrap();
    assert_eq!(handle.per_address(), Some(7));
    assert_eq!(
        handle.set_per_address(0),
        Err(InvalidListener::PerAddress(0))
    );
    handle.set_limit(1 << 20).unwrap();
    assert_eq!((handle.limit(), handle.per_address()), (1 << 20, Some(7)));
    drop(listener);
}
