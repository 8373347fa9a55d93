//! Callers that connect, send and disconnect.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use axum::{routing::get, serve::ListenerExt as _};
use plimsoll::{
    GateLayer,
    concurrency::{BoundedListener, ConcurrencyLimit},
};
use tokio::{sync::Notify, time::Duration};

use crate::support::{ask, head, listen, routes, send, serve, serve_on, status, until};

/// The bytes that are sent before the connection is closed.
const SENT: [&str; 5] = [
    "",
    "GET /hang HTT",
    "GET /hang HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf",
    // Two pipelined requests; neither response is read.
    "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /hang HTTP/1.1\r\nhost: x\r\n\r\n",
];

#[tokio::test]
async fn five_hundred_hang_ups_leave_no_slot_and_no_connection_behind() {
    const SLOTS: usize = 4;
    let (listener, addr) = listen().await;
    let listener = BoundedListener::new(listener, 1_000).unwrap();
    let connections = listener.handle();
    let limit = ConcurrencyLimit::new(SLOTS).unwrap();
    let handle = limit.handle();
    let (app, started) = routes();
    serve_on(listener.tap_io(|_| {}), app.layer(GateLayer::new(limit)));
    for _ in 0..20 {
        let mut callers = Vec::new();
        for sent in SENT.iter().cycle().take(25) {
            callers.push(send(addr, 1, sent.as_bytes()).await);
        }
        for (n, caller) in callers.into_iter().enumerate() {
            if n % 2 == 0 {
                // A reset instead of an orderly close.
                caller.set_zero_linger().unwrap();
            }
        }
    }
    until("all were accepted", || connections.accepted() == 500).await;
    until("all connections are closed", || connections.open() == 0).await;
    until("all slots are free", || handle.in_flight() == 0).await;
    let (started, rejected) = (started.load(SeqCst), handle.rejected());
    assert!(
        started > 0 && rejected > 0,
        "some requests had a slot, others were rejected: {started}, {rejected}"
    );

    // All slots are free, and there are no more than these.
    let mut held = Vec::new();
    for slots in 1..=SLOTS {
        held.push(send(addr, 2, head("/hang", "").as_bytes()).await);
        until("it has a slot", || handle.in_flight() == slots).await;
    }
    assert_eq!(ask(addr, 3).await, 503);
    held.pop();
    until("a slot is free", || handle.in_flight() == SLOTS - 1).await;
    assert_eq!(ask(addr, 3).await, 200);
}

#[tokio::test]
async fn callers_that_hang_up_in_the_queue_leave_their_places() {
    const PLACES: usize = 8;
    let limit = ConcurrencyLimit::new(1).unwrap();
    let limit = limit.queue(PLACES, Duration::from_secs(60)).unwrap();
    let handle = limit.handle();
    let done = Arc::new(Notify::new());
    let wait = Arc::clone(&done);
    let app = routes()
        .0
        .route("/wait", get(move || async move { wait.notified().await }));
    let addr = serve(app.layer(GateLayer::new(limit))).await;
    let mut first = send(addr, 1, head("/wait", "").as_bytes()).await;
    until("it has the slot", || handle.in_flight() == 1).await;
    for _ in 0..25 {
        let mut queued = Vec::new();
        for places in 1..=PLACES {
            queued.push(send(addr, 1, head("/", "").as_bytes()).await);
            until("it is queued", || handle.queued() == places).await;
        }
        assert_eq!(ask(addr, 2).await, 503, "the queue is full");
        drop(queued);
        until("the queue is empty", || handle.queued() == 0).await;
    }
    assert_eq!(handle.abandoned(), 25 * PLACES as u64);
    let mut waits = send(addr, 2, head("/", "").as_bytes()).await;
    until("it is queued", || handle.queued() == 1).await;
    done.notify_one();
    assert_eq!(status(&mut first).await, 200);
    assert_eq!(status(&mut waits).await, 200);
}

/// A limit of the method: hyper reads more only after the bytes it has read were consumed.
#[tokio::test]
async fn a_hang_up_behind_unread_bytes_is_seen_when_the_handler_ends() {
    let limit = ConcurrencyLimit::new(2).unwrap();
    let handle = limit.handle();
    let done = Arc::new(Notify::new());
    let wait = Arc::clone(&done);
    let wait = move || async move { wait.notified().await };
    let app = routes().0.route("/wait", get(wait.clone()).post(wait));
    let addr = serve(app.layer(GateLayer::new(limit))).await;
    let half_sent = "POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
    let pipelined = "GET /wait HTTP/1.1\r\nhost: x\r\n\r\nGET";
    for (slots, sent) in [half_sent, pipelined].iter().enumerate() {
        let caller = send(addr, 1, sent.as_bytes()).await;
        until("it has a slot", || handle.in_flight() == slots + 1).await;
        drop(caller);
    }
    for _ in 0..20 {
        assert_eq!(ask(addr, 2).await, 503);
    }
    done.notify_waiters();
    until("both slots are free", || handle.in_flight() == 0).await;
    assert_eq!(ask(addr, 2).await, 200);
}
