//! Event streams and WebSocket connections with a limit of their own, over real sockets.

use std::{
    convert::Infallible,
    future::ready,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, WebSocketUpgrade},
    response::{
        IntoResponse as _, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use futures_util::{Stream, StreamExt as _, stream};
use plimsoll_concurrency::{
    BoundedListener, ConcurrencyLimit, ConcurrencyLimitHandle, EventStreams, ListenerHandle,
    asks_for_stream,
};
use plimsoll_core::{
    Choose, Class, GateLayer, Handover, Http, Kind, Outcome, Policy, Route, decides_at_once,
    policy::Verdict,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::woken;

/// Records how calls ended: class, time to the head, time to the end.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<(Class, Duration, Duration)>>>);

impl<Req> Policy<Req> for Ends {
    type Permit = ();
    decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }
    fn finish(&self, (): (), outcome: &Outcome) {
        let end = (outcome.class, outcome.latency(), outcome.ran());
        self.0.lock().unwrap().push(end);
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

struct Server {
    addr: SocketAddr,
    requests: ConcurrencyLimitHandle,
    streams: ConcurrencyLimitHandle,
    connections: ListenerHandle,
    ends: Ends,
}

/// A server with a limit of one request, and of one open stream.
async fn serve() -> Server {
    let (requests, streams) = (
        ConcurrencyLimit::new(1).unwrap(),
        ConcurrencyLimit::new(1).unwrap(),
    );
    let streams = streams.retry_after(Duration::from_secs(5)).unwrap();
    let handles = (requests.handle(), streams.handle());
    let ends = Ends::default();
    let slots = [("/events", streams.route()), ("/socket", streams)];
    let limit = Choose::by(Route::matched(), slots, requests);
    let protocol = EventStreams::new(Http::new()).stop_on(Kind::OverQuota);
    let layer = GateLayer::builder((limit, ends.clone()))
        .protocol(protocol)
        .build();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/hang", get(std::future::pending::<&str>))
        .route("/events", get(|| async { Sse::new(events()) }))
        .route("/socket", get(socket))
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let listener = BoundedListener::new(listener, 100).unwrap();
    let connections = listener.handle();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server {
        addr,
        requests: handles.0,
        streams: handles.1,
        connections,
        ends,
    }
}

/// One event, and then none until the client closes the stream.
fn events() -> impl Stream<Item = Result<Event, Infallible>> {
    stream::once(ready(Ok(Event::default().data("hello")))).chain(stream::pending())
}

/// The claim belongs to the socket's task, and is released with it.
async fn socket(upgrade: WebSocketUpgrade) -> Response {
    let (handover, claim) = Handover::pair();
    let mut response = upgrade
        .on_upgrade(async move |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                _ = socket.send(message).await;
            }
            drop(claim);
        })
        .into_response();
    response.extensions_mut().insert(handover);
    response
}

const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const EVENTS: &str = "accept: text/event-stream\r\n";

impl Server {
    async fn ask(&self, path: &str, headers: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    async fn status(&self, path: &str, headers: &str) -> String {
        said(&mut self.ask(path, headers).await).await[9..12].to_owned()
    }

    fn in_flight(&self) -> (usize, usize) {
        (self.requests.in_flight(), self.streams.in_flight())
    }

    fn last_end(&self) -> Option<(Class, Duration, Duration)> {
        self.ends.0.lock().unwrap().last().copied()
    }
}

async fn said(client: &mut TcpStream) -> String {
    let mut buffer = [0; 2048];
    let read = tokio::time::timeout(Duration::from_secs(10), client.read(&mut buffer));
    let read = read.await.expect("an answer").unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// Polls a condition, since sockets need real time.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not reached: {what}");
}

#[tokio::test]
async fn an_event_stream_holds_its_own_slot_until_it_ends() {
    let server = serve().await;
    let mut stream = server.ask("/events", EVENTS).await;
    let head = said(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(server.in_flight(), (0, 1));
    for _ in 0..3 {
        assert_eq!(server.status("/", "").await, "200", "requests are admitted");
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(server.in_flight(), (0, 1), "as long as the stream lasts");
    drop(stream);
    until("the stream's slot is free", || server.in_flight() == (0, 0)).await;
    let (class, latency, ran) = server.last_end().unwrap();
    assert_eq!(class, Class::Success, "the service had answered");
    assert!(ran >= Duration::from_millis(30), "{ran:?}");
    assert!(latency < ran / 2, "to the head: {latency:?} of {ran:?}");
    assert!(server.status("/events", EVENTS).await == "200");
}

#[tokio::test]
async fn a_web_socket_holds_its_own_slot_until_it_is_closed() {
    let server = serve().await;
    let mut socket = server.ask("/socket", WEBSOCKET).await;
    assert!(said(&mut socket).await.starts_with("HTTP/1.1 101"));
    // "hi", masked with zeros, since clients must mask.
    socket.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let mut echo = [0; 4];
    woken(socket.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"\x81\x02hi");
    assert_eq!((server.in_flight(), server.connections.open()), ((0, 1), 1));
    assert_eq!(server.status("/", "").await, "200", "requests are admitted");
    let mut second = server.ask("/socket", WEBSOCKET).await;
    let rejected = said(&mut second).await;
    assert!(rejected.starts_with("HTTP/1.1 503"), "{rejected}");
    assert!(rejected.contains("retry-after: "), "{rejected}");
    tokio::time::sleep(Duration::from_millis(30)).await;

    // A close frame; the server answers it, and closes.
    socket.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    until("the socket's slot is free", || server.in_flight() == (0, 0)).await;
    let (class, latency, ran) = server.last_end().unwrap();
    assert!(ran >= Duration::from_millis(30) && latency < ran / 2);
    assert_ne!(class, Class::Cancelled);
    drop((socket, second));
    until("its connection, too", || server.connections.open() == 0).await;
}

#[tokio::test]
async fn a_web_socket_whose_client_disconnected_holds_no_slot() {
    let server = serve().await;
    for _ in 0..20 {
        let mut socket = server.ask("/socket", WEBSOCKET).await;
        // Some clients disconnect before the server has switched protocols.
        if fastrand::bool() {
            assert!(said(&mut socket).await.starts_with("HTTP/1.1 101"));
        }
        drop(socket);
        let nothing = || (server.in_flight(), server.connections.open()) == ((0, 0), 0);
        until("all slots are released", nothing).await;
    }
}

#[tokio::test]
async fn requests_at_their_limit_do_not_affect_streams() {
    let server = serve().await;
    let hangs = server.ask("/hang", "").await;
    until("it runs", || server.in_flight() == (1, 0)).await;
    for claim in ["", EVENTS, WEBSOCKET] {
        let answer = said(&mut server.ask("/", claim).await).await;
        assert!(
            answer.contains("plimsoll-rejected-by: concurrency"),
            "a header does not bypass the limit: {claim} {answer}"
        );
    }
    assert_eq!(server.in_flight(), (1, 0));
    let mut stream = server.ask("/events", EVENTS).await;
    assert!(said(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.in_flight(), (1, 1));
    drop((hangs, stream));
    until("all slots are released", || server.in_flight() == (0, 0)).await;
}

#[tokio::test]
async fn a_rejected_event_stream_sends_a_retry_time_and_ends() {
    let server = serve().await;
    let mut first = server.ask("/events", EVENTS).await;
    said(&mut first).await;
    let mut times = Vec::new();
    for _ in 0..4 {
        let mut second = server.ask("/events", EVENTS).await;
        let rejected = said(&mut second).await;
        let (head, body) = rejected.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        for line in [
            "content-type: text/event-stream",
            "cache-control: no-store",
            "plimsoll-rejected-by: concurrency",
        ] {
            assert!(head.lines().any(|have| have == line), "{line} in {head}");
        }
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "it ends: {head}"
        );
        let millis: u64 = body
            .strip_prefix("retry: ")
            .and_then(|rest| rest.strip_suffix("\n\n"))
            .and_then(|millis| millis.parse().ok())
            .unwrap_or_else(|| panic!("{body:?}"));
        assert!((5_000..=10_000).contains(&millis), "{millis}");
        times.push(millis);
    }
    times.dedup();
    assert!(times.len() > 1, "the times are spread: {times:?}");
    assert_eq!(server.streams.rejected(), 4);
    // A POST is not sent by `EventSource`, so it is rejected as usual.
    let mut post = TcpStream::connect(server.addr).await.unwrap();
    let request = format!("POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{EVENTS}\r\n");
    post.write_all(request.as_bytes()).await.unwrap();
    assert!(said(&mut post).await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn a_rejected_event_stream_can_be_stopped() {
    let limit = ConcurrencyLimit::new(1).unwrap().reject_as_over_quota();
    let protocol = EventStreams::new(Http::new()).stop_on(Kind::OverQuota);
    let layer = GateLayer::builder(limit).protocol(protocol).build();
    let app = Router::new()
        .route("/events", get(|| async { Sse::new(events()) }))
        .layer(layer);
    let ask = || {
        let req = Request::get("/events").header("accept", "text/event-stream");
        tower::ServiceExt::oneshot(app.clone(), req.body(axum::body::Body::empty()).unwrap())
    };
    let first = ask().await.unwrap();
    let second = ask().await.unwrap();
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 204)
    );
    assert!(!second.headers().contains_key("content-type"));
}

#[test]
fn requests_that_ask_for_a_stream_are_recognized() {
    let asks = |name: &'static str, value: &'static str| {
        asks_for_stream(
            &http::Request::get("/")
                .header(name, value)
                .body(())
                .unwrap(),
        )
    };
    for accept in [
        "text/event-stream",
        "application/json, Text/Event-Stream;q=0.9",
    ] {
        assert!(asks("accept", accept), "{accept}");
    }
    assert!(asks("upgrade", "websocket"));
    assert!(asks_for_stream(
        &http::Request::connect("/chat").body(()).unwrap()
    ));
    for (name, value) in [
        ("accept", "*/*"),
        ("accept", "text/event-streams"),
        ("upgrade", "h2c"),
        ("x-other", "text/event-stream"),
    ] {
        assert!(!asks(name, value), "{name}: {value}");
    }
}
