//! A server, and clients that send arbitrary bytes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    routing::{get, post},
    serve::Listener,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// Timeout of every step. No step takes a second: a longer one hangs, or is quadratic in the bytes
/// that were sent.
const STUCK: Duration = Duration::from_secs(10);

/// `/` answers, `/upload` reads its body, and `/hang` counts its calls and never answers.
pub(crate) fn routes() -> (Router, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&started);
    let hang = move || {
        counter.fetch_add(1, SeqCst);
        std::future::pending::<&str>()
    };
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/upload",
            post(|all: Bytes| async move { all.len().to_string() }),
        )
        .route("/hang", get(hang));
    (app, started)
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Serves the app, with peer addresses in the extensions.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let (listener, addr) = listen().await;
    serve_on(listener, app);
    addr
}

pub(crate) fn serve_on<L>(listener: L, app: Router)
where
    L: Listener<Addr = SocketAddr>,
    SocketAddr: for<'a> axum::extract::connect_info::Connected<axum::serve::IncomingStream<'a, L>>,
{
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

/// Connects from the address `127.0.0.{host}`.
pub(crate) async fn connect(addr: SocketAddr, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    in_time(socket.connect(addr)).await.unwrap()
}

/// Connects and sends the bytes.
pub(crate) async fn send(addr: SocketAddr, host: u8, bytes: &[u8]) -> TcpStream {
    let mut socket = connect(addr, host).await;
    socket.write_all(bytes).await.unwrap();
    socket
}

/// A request with these header lines that closes its connection.
pub(crate) fn head(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n")
}

/// Everything that is received until the connection is closed.
pub(crate) async fn text(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    // A reset also ends the response.
    _ = in_time(socket.read_to_end(&mut text)).await;
    String::from_utf8(text).unwrap()
}

/// The status of a response; 0 when the connection was closed without one.
pub(crate) async fn status(socket: &mut (impl AsyncRead + Unpin)) -> u16 {
    let text = text(socket).await;
    text.get(9..12).map_or(0, |status| status.parse().unwrap())
}

/// Requests `/` on a new connection.
pub(crate) async fn ask(addr: SocketAddr, host: u8) -> u16 {
    status(&mut send(addr, host, head("/", "").as_bytes()).await).await
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    let ended = tokio::time::timeout(STUCK, future).await;
    ended.expect("timed out")
}

/// Waits until the condition holds. Sockets take real time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let held = tokio::time::timeout(STUCK, polled).await;
    assert!(held.is_ok(), "condition not met: {what}");
}
