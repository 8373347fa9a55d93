//! Connections that send nothing, or half of a request head.

use axum::serve::ListenerExt as _;
use plimsoll::{
    GateLayer,
    concurrency::{BoundedListener, ConcurrencyLimit, ListenerHandle},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;

use crate::support::{ask, connect, head, listen, routes, send, serve_on, status, until};

/// Connections of the attack.
const ATTACK: usize = 10_000;
/// Other open files of the test and its runtime.
const OTHER_FILES: usize = 200;

/// Raises the limit of open files to its maximum, and returns how many connections' client ends fit
/// into it: at most [`ATTACK`].
fn attackers() -> usize {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let most = files.current.map_or(usize::MAX, |files| files as usize);
    ATTACK.min(most - OTHER_FILES)
}

/// Opens `attackers` connections from one address, half of them with half of a request head.
/// Another caller is served meanwhile in the only slot. Returns how many connections stay open.
async fn open_of(attackers: usize, per_address: usize) -> (usize, ListenerHandle, Vec<TcpStream>) {
    let (listener, addr) = listen().await;
    let listener = BoundedListener::new(listener, 1_000).unwrap();
    let listener = listener.per_address(per_address).unwrap();
    let handle = listener.handle();
    let limit = ConcurrencyLimit::new(1).unwrap();
    let slots = limit.handle();
    let (app, _) = routes();
    let app = app.layer(GateLayer::new(limit));
    serve_on(listener.tap_io(|_| {}), app);
    let mut idle = Vec::with_capacity(attackers);
    for n in 0..attackers {
        idle.push(if n % 2 == 0 {
            connect(addr, 1).await
        } else {
            send(addr, 1, b"GET / HTTP/1.1\r\nhost: x\r\nx-half: ").await
        });
    }
    let decided = || handle.accepted() + handle.rejected() == attackers as u64;
    until("all were accepted or closed", decided).await;
    let open = handle.open();
    assert_eq!(slots.in_flight(), 0, "an idle connection holds no slot");
    for _ in 0..10 {
        assert_eq!(ask(addr, 2).await, 200);
        // hyper may still hold the last connection.
        until("the connection is closed", || handle.open() == open).await;
    }
    (open, handle, idle)
}

#[tokio::test]
async fn of_10_000_idle_connections_of_one_address_only_its_share_is_open() {
    let attackers = attackers();
    let (open, handle, idle) = open_of(attackers, 50).await;
    assert_eq!((open, handle.rejected()), (50, attackers as u64 - 50));
    drop(idle);
    until("all connections are closed", || handle.open() == 0).await;
    assert_eq!(handle.addresses(), 0);
    // Control: one address may hold all connections. Both ends are open in this process, so there
    // are fewer.
    assert_eq!(open_of(300, 1_000).await.0, 300);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_in_the_backlog_until_others_close() {
    let (listener, addr) = listen().await;
    let listener = BoundedListener::new(listener, 50).unwrap();
    let handle = listener.handle();
    serve_on(listener.tap_io(|_| {}), routes().0);
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(connect(addr, 1).await);
    }
    until("50 connections are open", || handle.open() == 50).await;
    let mut other = send(addr, 2, head("/", "").as_bytes()).await;
    // No connection is closed for being idle: the other caller is served once a connection closes.
    assert_eq!(handle.accepted(), 50);
    drop(idle);
    assert_eq!(status(&mut other).await, 200);
    assert_eq!(handle.accepted(), 101, "accepted from the backlog");
}
