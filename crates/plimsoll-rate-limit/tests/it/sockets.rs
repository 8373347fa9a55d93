//! Behind a real axum server: which requests are admitted, and what callers see.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{Router, routing::get};
use plimsoll_core::{ClientIp, GateLayer, HeaderKey, Kind, Missing, Observe};
use plimsoll_rate_limit::{KeyedRateLimitHandle, KeyedRateLimitLayer, Quota, RateLimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::advance,
};

use crate::ms;

/// Three requests per hour and address on `/ip`, two per second and API key on `/key`.
async fn serve() -> (SocketAddr, KeyedRateLimitHandle, KeyedRateLimitHandle) {
    let reject = Missing::Reject(Kind::OverQuota);
    let per_hour = Quota::per_hour(3).named("per-address");
    let by_ip = RateLimit::new(per_hour)
        .expect("valid")
        .per_key(ClientIp::peer(), reject, 1000)
        .expect("valid");
    let per_second = Quota::per_second(2).named("per-api-key");
    let api_key = HeaderKey::from_static("x-api-key");
    let by_key = RateLimit::new(per_second)
        .expect("valid")
        .per_key(api_key, reject, 1000)
        .expect("valid");
    let handles = (by_ip.handle(), by_key.handle());

    let hello = || get(async || "hello");
    let app = Router::new()
        .route("/ip", hello().layer(KeyedRateLimitLayer::new(by_ip)))
        .route("/key", hello().layer(KeyedRateLimitLayer::new(by_key)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (addr, handles.0, handles.1)
}

/// A whole response, on a new connection, with one more line in the request's head.
async fn ask(addr: SocketAddr, path: &str, line: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{line}\r\n");
    socket.write_all(request.as_bytes()).await.expect("open");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("UTF-8");
    answer
}

fn has(answer: &str, line: &str) {
    assert!(answer.lines().any(|is| is == line), "no {line} in {answer}");
}

const ADMITTED: &str = "HTTP/1.1 200 OK";
const REJECTED: &str = "HTTP/1.1 429 Too Many Requests";

#[tokio::test(start_paused = true)]
async fn each_address_has_a_quota_and_sees_what_is_left() {
    let (addr, by_ip, _) = serve().await;
    for left in ["r=2;t=1200", "r=1;t=2400", "r=0;t=1200"] {
        let answer = ask(addr, "/ip", "").await;
        has(&answer, ADMITTED);
        has(&answer, "ratelimit-policy: \"per-address\";q=3;w=3600");
        has(&answer, &format!("ratelimit: \"per-address\";{left}"));
        assert!(answer.ends_with("hello"), "{answer}");
    }
    advance(ms(500)).await;
    let answer = ask(addr, "/ip", "").await;
    has(&answer, REJECTED);
    has(&answer, "retry-after: 1200");
    has(&answer, "ratelimit-policy: \"per-address\";q=3;w=3600");
    has(&answer, "ratelimit: \"per-address\";r=0;t=1200");
    has(&answer, "plimsoll-rejected-by: rate-limit");
    assert_eq!((by_ip.keys(), by_ip.missing()), (1, 0));
    assert_eq!(by_ip.limit().rejected(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_admitted_after_its_wait() {
    let (addr, ..) = serve().await;
    for _ in 0..3 {
        has(&ask(addr, "/ip", "").await, ADMITTED);
    }
    for _ in 0..3 {
        let rejected = ask(addr, "/ip", "").await;
        let wait = rejected
            .lines()
            .find_map(|line| line.strip_prefix("retry-after: "))
            .expect("a wait");
        let wait: u64 = wait.parse().expect("seconds");
        advance(ms(1000 * (wait - 1))).await;
        has(&ask(addr, "/ip", "").await, REJECTED);
        advance(ms(1000)).await;
        has(&ask(addr, "/ip", "").await, ADMITTED);
    }
}

#[tokio::test(start_paused = true)]
async fn each_api_key_has_a_quota_and_no_key_is_rejected() {
    let (addr, _, by_key) = serve().await;
    for key in ["ann", "bob", "\u{fc}"] {
        let line = format!("x-api-key: {key}\r\n");
        for left in ["r=1;t=1", "r=0;t=1"] {
            let answer = ask(addr, "/key", &line).await;
            has(&answer, ADMITTED);
            has(&answer, &format!("ratelimit: \"per-api-key\";{left}"));
        }
        has(&ask(addr, "/key", &line).await, REJECTED);
        assert_eq!(
            by_key.available(key.as_bytes(), tokio::time::Instant::now()),
            Some(0)
        );
    }
    let answer = ask(addr, "/key", "").await;
    has(&answer, REJECTED);
    has(&answer, "plimsoll-rejected-by: missing-key");
    assert!(!answer.contains("retry-after"), "{answer}");
    assert_eq!((by_key.keys(), by_key.missing()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn without_connect_info_all_clients_share_a_cell_or_are_rejected() {
    for (missing, statuses) in [
        (Missing::Share, [ADMITTED, ADMITTED, ADMITTED, REJECTED]),
        (Missing::REJECT, [REJECTED; 4]),
    ] {
        let by_ip = RateLimit::new(Quota::per_hour(3)).expect("valid").per_key(
            ClientIp::peer(),
            missing,
            1000,
        );
        let by_ip = by_ip.expect("valid");
        let (handle, reported) = (by_ip.handle(), Reported::default());
        let gate = GateLayer::builder(by_ip).observe(reported.clone()).build();
        let app = Router::new()
            .route("/ip", get(async || "hello"))
            .layer(gate);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        // The mistake: no `into_make_service_with_connect_info`.
        tokio::spawn(async move { axum::serve(listener, app).await });
        for status in statuses {
            has(&ask(addr, "/ip", "").await, status);
        }
        assert_eq!((handle.keys(), handle.missing()), (0, 4));
        assert_eq!(reported.0.load(Relaxed), 4, "reported by the gate");
    }
}

/// The number of requests without a key that a gate reported.
#[derive(Clone, Default)]
struct Reported(Arc<AtomicU64>);

impl Observe for Reported {
    fn missing_key(&self, _: &str) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Many concurrent connections with several requests each share one burst.
#[tokio::test]
async fn connections_at_once_share_the_quota_of_their_address() {
    let (addr, by_ip, _) = serve().await;
    let clients = (0..20).map(|_| {
        tokio::spawn(async move {
            let mut admitted = 0;
            for _ in 0..5 {
                admitted += u32::from(ask(addr, "/ip", "").await.starts_with(ADMITTED));
            }
            admitted
        })
    });
    let mut admitted = 0;
    for client in clients.collect::<Vec<_>>() {
        admitted += client.await.expect("no panic");
    }
    assert_eq!(admitted, 3);
    assert_eq!(by_ip.limit().rejected(), 97);
}
