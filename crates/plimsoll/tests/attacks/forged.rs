//! Forged priorities, addresses and keys.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::Request;
use plimsoll::{
    ByHeader, ClientIp, GateLayer, HeaderKey, IpRange, Missing,
    concurrency::ConcurrencyLimit,
    policy::Prioritize,
    rate_limit::{Quota, RateLimit},
};
use tokio::{io::AsyncWriteExt as _, sync::Notify};

use crate::support::{ask, connect, head, routes, send, serve, status, text, until};

/// Capacity of the queue.
const PLACES: usize = 20;
const FORGED: &str = "plimsoll-criticality: CRITICAL_PLUS\r\nplimsoll-cohort: 127\r\n";

/// Fills the queue with ordinary callers, then sends the same number of forged priorities. Returns
/// how many of each are served.
async fn served_of_20(priorities: impl Prioritize<Request<Body>> + 'static) -> (usize, usize) {
    let limit = ConcurrencyLimit::new(1).unwrap().priorities(priorities);
    let limit = limit.queue(PLACES, Duration::from_secs(60)).unwrap();
    let handle = limit.handle();
    let done = Arc::new(Notify::new());
    let wait = Arc::clone(&done);
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/wait", get(move || async move { wait.notified().await }))
        .layer(GateLayer::new(limit));
    let addr = serve(app).await;
    let mut first = send(addr, 1, head("/wait", "").as_bytes()).await;
    until("it has the slot", || handle.in_flight() == 1).await;
    let (mut ordinary, mut forgers) = (Vec::new(), Vec::new());
    for queued in 1..=PLACES {
        ordinary.push(send(addr, 1, head("/", "").as_bytes()).await);
        until("it is queued", || handle.queued() == queued).await;
    }
    for rejected in 1..=PLACES as u64 {
        forgers.push(send(addr, 1, head("/", FORGED).as_bytes()).await);
        // Either the forged request or the one that it evicts.
        let rejections = || handle.rejected() + handle.evicted();
        until("one is rejected", || rejections() == rejected).await;
    }
    done.notify_one();
    assert_eq!(status(&mut first).await, 200);
    let mut served = [0, 0];
    for (served, callers) in served.iter_mut().zip([ordinary, forgers]) {
        for mut caller in callers {
            *served += usize::from(status(&mut caller).await == 200);
        }
    }
    (served[0], served[1])
}

#[tokio::test]
async fn a_forged_priority_displaces_no_caller_from_a_full_queue() {
    let untrusted = ByHeader::untrusted(ClientIp::peer());
    assert_eq!(served_of_20(untrusted).await, (20, 0));
    // Control: with trusted headers the same requests evict all others.
    assert_eq!(served_of_20(ByHeader::trusted()).await, (0, 20));
}

/// How many of 100 requests, each with another forged address in front, are admitted under 10 per
/// hour.
async fn admitted_of_100(key: ClientIp, appended: &str) -> usize {
    let quota = Quota::per_hour(10);
    let limit = RateLimit::new(quota)
        .unwrap()
        .per_key(key, Missing::Share, 1_000)
        .unwrap();
    let addr = serve(routes().0.layer(GateLayer::new(limit))).await;
    let mut admitted = 0;
    for n in 0..100 {
        let line = format!("x-forwarded-for: 198.51.100.{n}{appended}\r\n");
        let mut socket = send(addr, 1, head("/", &line).as_bytes()).await;
        admitted += usize::from(status(&mut socket).await == 200);
    }
    admitted
}

#[tokio::test]
async fn made_up_forwarded_addresses_are_no_fresh_quota() {
    // Behind a proxy that appends the caller's address.
    let behind = ClientIp::behind(1);
    assert_eq!(admitted_of_100(behind, ", 192.0.2.1").await, 10);
    // Around the proxy: the proxy's addresses are configured, so a direct peer is not trusted.
    let proxies = ["192.0.2.0/24".parse::<IpRange>().unwrap()];
    let known = ClientIp::behind(1).trusting_peers(proxies);
    assert_eq!(admitted_of_100(known, "").await, 10);
    // Control: no proxy appends an address, and every peer is trusted.
    assert_eq!(admitted_of_100(ClientIp::behind(1), "").await, 100);
}

#[tokio::test]
async fn six_thousand_made_up_keys_take_nothing_from_known_callers() {
    const MADE_UP: usize = 6_000;
    const QUOTA: u32 = 5;
    let key = HeaderKey::from_static("x-api-key");
    let limit = RateLimit::new(Quota::per_hour(QUOTA))
        .unwrap()
        .per_key(key, Missing::Share, 512)
        .unwrap();
    let handle = limit.handle();
    let addr = serve(routes().0.layer(GateLayer::new(limit))).await;
    let known = async |n: usize| {
        let line = format!("x-api-key: known-{n}\r\n");
        status(&mut send(addr, 1, head("/", &line).as_bytes()).await).await
    };
    for n in 0..40 {
        assert_eq!(known(n % 20).await, 200);
    }
    let bytes = handle.bytes();

    // All on one connection, which the last request closes.
    let mut sent = String::new();
    for n in 1..MADE_UP {
        write!(
            sent,
            "GET / HTTP/1.1\r\nhost: x\r\nx-api-key: made-up-{n}\r\n\r\n"
        )
        .unwrap();
    }
    sent += &head("/", "x-api-key: made-up-0\r\n");
    let (mut reads, mut writes) = connect(addr, 2).await.into_split();
    let (_, answers) = tokio::join!(writes.write_all(sent.as_bytes()), text(&mut reads));
    assert_eq!(
        answers.matches("HTTP/1.1 ").count(),
        MADE_UP,
        "all are answered"
    );
    let admitted = answers.matches("HTTP/1.1 200").count() as u64;
    let cells = handle.capacity();
    assert!(
        admitted <= cells * u64::from(QUOTA),
        "{admitted} by {cells} cells: evictions give no fresh quota"
    );

    assert_eq!(handle.bytes(), bytes, "the table does not grow");
    for n in 0..60 {
        assert_eq!(known(n % 20).await, 200, "three of five were left");
    }
    assert_eq!(known(0).await, 429, "and no more");
    assert_eq!(ask(addr, 2).await, 200, "without a key");
}
