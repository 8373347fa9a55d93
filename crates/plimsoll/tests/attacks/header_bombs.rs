//! Request heads at the size limits, and beyond them.

use std::time::Duration;

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use plimsoll::{
    ApiKey, Authority, BearerToken, ByHeader, ClientIp, Deadlines, GateLayer, HeaderKey, Http,
    IpRange, Key, Missing, RateLimitFields, TraceId, When,
    concurrency::{self, ConcurrencyLimit},
    rate_limit::{KeyedRateLimit, Quota, RateLimit},
};
use plimsoll_core::test_kit::RejectAll;
use tokio::{io::AsyncWriteExt as _, time::Instant};

use crate::{
    http2::{self, CONTINUATION, Connection, END_STREAM, ENHANCE_YOUR_CALM, HEADERS},
    support::{ask, connect, head, send, serve, status},
};

/// The longest allowed time for a response. A response takes about 10 ms in a debug build; a parser
/// that is quadratic in 100 KB takes minutes.
const LONGEST: Duration = Duration::from_secs(5);

/// All headers that a policy, a key or a rejection reads.
const NAMES: [&str; 16] = [
    "accept",
    "authorization",
    "cf-connecting-ip",
    "content-type",
    "forwarded",
    "grpc-timeout",
    "host",
    "plimsoll-cohort",
    "plimsoll-criticality",
    "plimsoll-timeout-ms",
    "ratelimit",
    "traceparent",
    "upgrade",
    "x-api-key",
    "x-forwarded-for",
    "x-tenant",
];

/// Header fragments that make a parser backtrack.
const PIECES: [&str; 12] = [
    ",",
    "\"",
    "\\\"",
    "for=\"a,",
    ";",
    "=",
    "9",
    "[",
    "10.0.0.1,",
    "a/b;q=0,",
    "\"a\";r=1,",
    "Bearer ",
];

fn by<K: Key<Request>>(key: K) -> KeyedRateLimit<K> {
    let quota = Quota::per_second(1_000_000).named("q");
    RateLimit::new(quota)
        .unwrap()
        .per_key(key, Missing::Share, 1_000)
        .unwrap()
}

/// Two gates with every part that reads a header. `/told` answers with the caller's own quota
/// headers, `/rejects` is rejected.
fn app() -> Router {
    const CF: http::HeaderName = http::HeaderName::from_static("cf-connecting-ip");
    let addresses = (
        by(ClientIp::behind(2)),
        by(ClientIp::behind(1).forwarded()),
        by(ClientIp::behind_ranges(IpRange::PRIVATE)),
        by(ClientIp::behind_ranges(IpRange::PRIVATE).forwarded()),
        by(ClientIp::trusted_header(CF)),
        Deadlines::propagated(),
        ByHeader::untrusted(ClientIp::behind(3)),
        ConcurrencyLimit::new(1).unwrap(),
    );
    let names = (
        by(ApiKey::new()),
        by(BearerToken::new()),
        by(HeaderKey::from_static("x-tenant")),
        by(TraceId),
        by(Authority),
        ByHeader::trusted(),
        When::new(
            concurrency::asks_for_stream,
            ConcurrencyLimit::new(1).unwrap(),
        ),
    );
    let told = |req: Request| async move {
        let mut response = Response::new(Body::from("told"));
        for line in req.headers().get_all("ratelimit") {
            response.headers_mut().append("ratelimit", line.clone());
        }
        response
    };
    let fields = Http::new().rate_limit_fields(RateLimitFields::DRAFT_11.and_legacy());
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/told", get(told))
        .route(
            "/rejects",
            get(|| async { "" }).layer(GateLayer::new(RejectAll)),
        )
        .layer(GateLayer::builder(names).protocol(fields).build())
        .layer(GateLayer::new(addresses))
}

/// `count` lines of about `length` bytes.
fn lines(name: &str, piece: &str, count: usize, length: usize) -> String {
    let line = format!("{name}: {}\r\n", piece.repeat(length / piece.len()));
    line.repeat(count)
}

#[tokio::test]
async fn header_bombs_in_every_header_that_is_read_are_answered() {
    let addr = serve(app()).await;
    let bomb = async |path: &str, lines: &str| {
        let since = Instant::now();
        let status = status(&mut send(addr, 1, head(path, lines).as_bytes()).await).await;
        let took = since.elapsed();
        // Not by a timeout: a busy parser blocks the thread that would fire it.
        assert!(took < LONGEST, "{took:?} for {} bytes", lines.len());
        status
    };
    for name in NAMES {
        for piece in PIECES {
            // One line, and nearly the maximum number of lines that hyper accepts.
            for (count, length) in [(1, 100_000), (90, 1_000)] {
                let lines = lines(name, piece, count, length);
                assert_eq!(bomb("/", &lines).await, 200, "{name}: {piece} * {length}");
            }
        }
        // Nearly the maximum size that hyper accepts.
        let lines = lines(name, "a,", 1, 400_000);
        for (path, expected) in [("/", 200), ("/told", 200), ("/rejects", 503)] {
            assert_eq!(bomb(path, &lines).await, expected, "{name} at {path}");
        }
    }
    assert_eq!(ask(addr, 2).await, 200);
}

#[tokio::test]
async fn heads_beyond_the_limits_of_hyper_never_reach_a_gate() {
    let addr = serve(app()).await;
    // hyper compares with its limit of 417,792 bytes after each read, and one read takes up to as much
    // again: a head of 500,000 bytes that has arrived as a whole is answered by 200.
    for (count, length) in [(101, 1), (1, 900_000), (200, 4_000)] {
        let lines = lines("forwarded", ",", count, length);
        let mut socket = connect(addr, 1).await;
        // The server may close the connection while this is being sent.
        _ = socket.write_all(head("/", &lines).as_bytes()).await;
        // 431, unless the reset that follows it arrives first.
        let status = status(&mut socket).await;
        assert!(
            matches!(status, 431 | 0),
            "{count} lines of {length}: {status}"
        );
        assert_eq!(ask(addr, 2).await, 200);
    }
}

#[tokio::test]
async fn a_head_of_http2_that_never_ends_closes_its_connection() {
    let addr = serve(app()).await;
    let mut attacker = Connection::open(addr, 1).await;
    let start = http2::frame(HEADERS, END_STREAM, 1, &http2::get_block("/"));
    attacker.send(&start).await.unwrap();
    // A literal header field without indexing: name and value.
    let field = [&[0, 1, b'x', 127, 0x81, 0x7c][..], &[b'a'; 16_000]].concat();
    assert!(field.len() <= 16_384, "the largest frame");
    let more = http2::frame(CONTINUATION, 0, 1, &field);
    // More frames than h2 accepts for one head.
    attacker.send(&more.repeat(6)).await.unwrap();
    assert_eq!(attacker.goes_away().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(ask(addr, 2).await, 200);
}
