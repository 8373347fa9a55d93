//! The gate in a real axum server: what real clients do to permits.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    routing::{get, post},
};
use plimsoll_core::{
    ClientIp, GateLayer, Handover, Keyed, Kind, Missing, Route, test_kit::RejectAll,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::sample::Slots;

/// A server with every kind of handler, behind one gate with two slots.
async fn serve() -> (SocketAddr, GateLayer<Arc<Slots>>) {
    let layer = GateLayer::new(Arc::new(Slots::new(2)));
    let app = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/hang", get(std::future::pending::<&str>))
        .route(
            "/panic",
            get(|| async { if true { panic!("a handler's bug") } else { "" } }),
        )
        .route("/endless", get(|| async { Body::from_stream(endless()) }))
        .route(
            "/unread",
            post(|| async { "the request body was never read" }),
        )
        .route("/upgrade", get(upgrade))
        .layer(layer.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (addr, layer)
}

fn endless() -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok(Bytes::from_static(b"more")), ()))
    })
}

/// Switches protocols, and echoes until the client disconnects. The socket's task owns the permit.
async fn upgrade(req: Request) -> http::Response<Body> {
    let (handover, claim) = Handover::pair();
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(req).await.unwrap();
        let mut socket = hyper_util::rt::TokioIo::new(upgraded);
        let mut buffer = [0; 64];
        while let Ok(read @ 1..) = socket.read(&mut buffer).await {
            socket.write_all(&buffer[..read]).await.unwrap();
        }
        drop(claim);
    });
    http::Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .extension(handover)
        .body(Body::empty())
        .unwrap()
}

async fn send(addr: SocketAddr, request: &str) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Reads the first bytes of the response.
async fn head(socket: &mut TcpStream) -> String {
    let mut buffer = [0; 1024];
    let read = socket.read(&mut buffer).await.unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// Waits for a condition in real time, since sockets need it. Takes a few milliseconds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("timed out: {what}");
}

fn get_line(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

#[tokio::test]
async fn law_02_in_flight_returns_to_zero_whatever_clients_do() {
    let (addr, layer) = serve().await;
    let in_flight = || layer.policy().in_flight();
    for round in 0..3 {
        for path in ["/hang", "/endless"] {
            let mut hangs_up = send(addr, &get_line(path)).await;
            if path == "/endless" {
                assert!(head(&mut hangs_up).await.starts_with("HTTP/1.1 200"));
            }
            until("the call is running", || in_flight() == 1).await;
            drop(hangs_up);
            until("the client hung up", || in_flight() == 0).await;
        }
        let mut panics = send(addr, &get_line("/panic")).await;
        assert_eq!(
            head(&mut panics).await,
            "",
            "hyper closes the connection after a panic"
        );
        until("the handler panicked", || in_flight() == 0).await;

        let mut upload = send(
            addr,
            "POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc",
        )
        .await;
        assert!(
            head(&mut upload).await.starts_with("HTTP/1.1 200"),
            "round {round}"
        );
        drop(upload);
        until("a request body was never read", || in_flight() == 0).await;

        let mut hello = send(addr, &get_line("/hello")).await;
        assert!(head(&mut hello).await.ends_with("hello"));
        until("the answer was sent, and the connection stays open", || {
            in_flight() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn law_01_all_connections_and_routes_share_the_limit() {
    let (addr, layer) = serve().await;
    let first = send(addr, &get_line("/hang")).await;
    let second = send(addr, &get_line("/endless")).await;
    until("both calls are running", || layer.policy().in_flight() == 2).await;
    let rejected = head(&mut send(addr, &get_line("/hello")).await).await;
    assert!(
        rejected.starts_with("HTTP/1.1 503 Service Unavailable"),
        "{rejected}"
    );
    assert!(
        rejected.contains("plimsoll-rejected-by: slots"),
        "{rejected}"
    );
    let soon = ["retry-after: 1\r", "retry-after: 2\r"];
    assert!(
        soon.iter().any(|line| rejected.contains(line)),
        "{rejected}"
    );
    assert!(rejected.contains("content-length: "), "{rejected}");
    drop((first, second));
    until("both clients left", || layer.policy().in_flight() == 0).await;
}

#[tokio::test]
async fn an_upgraded_connection_holds_its_permit_until_it_is_closed() {
    let (addr, layer) = serve().await;
    let line = "GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    let mut socket = send(addr, line).await;
    assert!(head(&mut socket).await.starts_with("HTTP/1.1 101"));
    socket.write_all(b"ping").await.unwrap();
    assert_eq!(head(&mut socket).await, "ping");
    assert_eq!(layer.policy().in_flight(), 1, "the socket is open");
    drop(socket);
    until("the socket was closed", || layer.policy().in_flight() == 0).await;
}

#[tokio::test]
async fn peers_and_routes_are_read_from_axum() {
    let by_ip = Keyed::new(
        ClientIp::peer(),
        Missing::Reject(Kind::OverQuota),
        512,
        || Slots::new(1),
    );
    let by_route = Keyed::new(
        Route::matched(),
        Missing::Reject(Kind::OverQuota),
        512,
        || Slots::new(1),
    );
    let layer = GateLayer::new((by_ip.unwrap(), by_route.unwrap()));
    let handler = get(std::future::pending::<&str>).layer(layer.clone());
    let app = Router::new().route("/users/{id}", handler);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });

    let _running = send(addr, &get_line("/users/1")).await;
    let (by_ip, by_route) = layer.policy();
    until("both keys are known", || {
        by_ip.handle().keys() == 1 && by_route.handle().keys() == 1
    })
    .await;
    let rejected = head(&mut send(addr, &get_line("/users/2")).await).await;
    assert!(
        rejected.starts_with("HTTP/1.1 503"),
        "the same peer: {rejected}"
    );
    assert_eq!(
        (by_ip.handle().missing(), by_route.handle().missing()),
        (0, 0)
    );
}

/// Returns the head of a rejection, over a new connection.
async fn rejected(addr: SocketAddr, request: &str) -> String {
    head(&mut send(addr, request).await).await
}

#[tokio::test]
async fn a_rejection_is_never_an_answer_that_a_cache_may_keep() {
    let app = Router::new()
        .route("/", get(|| async { "hello" }).post(|| async { "hello" }))
        .layer(GateLayer::new(RejectAll));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    // A GET is not gRPC, whatever its content type: a gRPC status would be `200 OK`.
    for content_type in ["application/grpc", "application/grpc-web", "text/plain"] {
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\n\r\n");
        let head = rejected(addr, &request).await;
        assert!(head.starts_with("HTTP/1.1 503"), "{content_type}: {head}");
        assert!(head.contains("cache-control: no-store\r\n"), "{head}");
        assert!(!head.contains("grpc-status"), "{head}");
    }

    // gRPC-Web is a POST over HTTP/1.1.
    let web = "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 0\r\n\r\n";
    let head = rejected(addr, web).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("grpc-status: 14\r\n"), "{head}");
    assert!(head.contains("cache-control: no-store\r\n"), "{head}");

    // gRPC is a POST over HTTP/2.
    let endpoint = tonic::transport::Channel::from_shared(format!("http://{addr}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    for (method, grpc) in [("POST", true), ("GET", false)] {
        let req = http::Request::builder()
            .method(method)
            .uri("/")
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::empty())
            .unwrap();
        let answer = tower::ServiceExt::oneshot(channel.clone(), req)
            .await
            .unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(
            answer.headers().contains_key("grpc-status"),
            grpc,
            "{method}"
        );
        assert_eq!(answer.status(), if grpc { 200 } else { 503 });
    }
}
