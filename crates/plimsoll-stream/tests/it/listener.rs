//! Sockets that report a slow client early, over real sockets.

mod sockets;

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    routing::get,
    serve::ListenerExt as _,
};
use futures_util::{StreamExt as _, stream};
use plimsoll_concurrency::BoundedListener;
use plimsoll_stream::listener::{
    BackpressureHandle, BackpressureListener, BackpressureListenerBuilder, Connection,
    InvalidBackpressureListener, SlowDisconnect, Unsent,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

const CHUNK: usize = 1024;
/// Longer than anything here takes, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a handler has produced, and when its stream was dropped.
#[derive(Clone)]
struct Produced {
    bytes: Arc<AtomicU64>,
    ended: mpsc::UnboundedSender<Instant>,
    connections: mpsc::UnboundedSender<Connection>,
}

struct Ended(mpsc::UnboundedSender<Instant>);

impl Drop for Ended {
    fn drop(&mut self) {
        _ = self.0.send(Instant::now());
    }
}

/// Chunks without end, as fast as the server takes them.
async fn flood(
    State(produced): State<Produced>,
    ConnectInfo(connection): ConnectInfo<Connection>,
) -> Body {
    _ = produced.connections.send(connection);
    let ended = Ended(produced.ended);
    let chunks = stream::repeat_with(move || {
        _ = &ended;
        produced.bytes.fetch_add(CHUNK as u64, SeqCst);
        Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; CHUNK]))
    });
    Body::from_stream(chunks)
}

/// A line with a number, every 5 ms.
async fn ticks() -> Body {
    let lines = stream::unfold(0_u64, |n| async move {
        sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, std::convert::Infallible>(format!("{n}\n")), n + 1))
    });
    Body::from_stream(lines)
}

struct Server {
    addr: SocketAddr,
    handle: BackpressureHandle,
    bytes: Arc<AtomicU64>,
    ended: mpsc::UnboundedReceiver<Instant>,
    connections: mpsc::UnboundedReceiver<Connection>,
}

async fn serve(
    settings: impl FnOnce(
        BackpressureListenerBuilder<TcpListener>,
    ) -> BackpressureListenerBuilder<TcpListener>,
) -> Server {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = settings(BackpressureListener::builder(tcp))
        .build()
        .unwrap();
    let handle = listener.handle();
    let bytes = Arc::new(AtomicU64::new(0));
    let (ended, has_ended) = mpsc::unbounded_channel();
    let (connections, connected) = mpsc::unbounded_channel();
    let produced = Produced {
        bytes: Arc::clone(&bytes),
        ended,
        connections,
    };
    let app = Router::new()
        .route("/flood", get(flood))
        .route("/ticks", get(ticks))
        .with_state(produced)
        .into_make_service_with_connect_info::<Connection>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server {
        addr,
        handle,
        bytes,
        ended: has_ended,
        connections: connected,
    }
}

/// A client that has sent its request, and has read nothing.
async fn request(addr: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

/// Waits until the count has not changed for 200 ms.
async fn at_rest(count: &AtomicU64) -> u64 {
    let mut before = 0;
    loop {
        sleep(Duration::from_millis(200)).await;
        let now = count.load(SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    let waits = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waits)
        .await
        .expect("the condition becomes true");
}

#[tokio::test]
async fn a_client_that_reads_nothing_stops_the_handler_and_is_disconnected_at_the_deadline() {
    let deadline = Duration::from_millis(1500);
    let mut server = serve(|builder| builder.write_deadline(Some(deadline))).await;
    let started = Instant::now();
    let client = request(server.addr, "/flood").await;

    let stalled = at_rest(&server.bytes).await;
    assert!(stalled < 512 * 1024, "{stalled} bytes before the stall");
    assert_eq!((server.handle.open(), server.handle.blocked()), (1, 1));
    let connection = server.connections.recv().await.unwrap();
    assert!(connection.blocked_for().is_some());

    let ended = timeout(PATIENCE, server.ended.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(ended - started >= deadline);
    assert!(ended - started < deadline * 4, "{:?}", ended - started);
    until(|| server.handle.open() == 0).await;
    let handle = &server.handle;
    assert_eq!(handle.slow_disconnects(SlowDisconnect::WriteDeadline), 1);
    assert_eq!(handle.slow_disconnects(SlowDisconnect::PeerTimeout), 0);
    assert_eq!(
        (handle.accepted(), handle.blocked(), handle.option_errors()),
        (1, 0, 0)
    );
    assert!(handle.written() > 0 && handle.written() == connection.written());
    assert!(connection.read() > 0 && connection.blocked_for().is_none());
    drop(client);
}

#[tokio::test]
async fn without_the_low_water_mark_the_kernel_hides_megabytes() {
    // The control of the test above: it fails if the option had no effect.
    let settings = |builder: BackpressureListenerBuilder<_>| {
        builder.unsent_low_water(None).write_deadline(None)
    };
    let server = serve(settings).await;
    let client = request(server.addr, "/flood").await;
    let stalled = at_rest(&server.bytes).await;
    assert!(stalled > 1024 * 1024, "{stalled} bytes before the stall");
    drop(client);
}

#[tokio::test]
async fn a_slow_client_that_makes_progress_is_not_disconnected() {
    let deadline = Duration::from_millis(700);
    let server = serve(|builder| builder.write_deadline(Some(deadline))).await;
    let mut client = request(server.addr, "/flood").await;
    let mut buffer = vec![0; 128 * 1024];
    for _ in 0..12 {
        sleep(Duration::from_millis(200)).await;
        client.read_exact(&mut buffer).await.unwrap();
    }
    assert_eq!(
        server
            .handle
            .slow_disconnects(SlowDisconnect::WriteDeadline),
        0
    );
    assert_eq!(server.handle.open(), 1);
}

#[tokio::test]
async fn a_healthy_neighbour_of_stalled_clients_misses_nothing() {
    let deadline = Duration::from_millis(500);
    let server = serve(|builder| builder.write_deadline(Some(deadline))).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(request(server.addr, "/flood").await);
    }
    let mut healthy = request(server.addr, "/ticks").await;
    let mut text = Vec::new();
    let reads = async {
        while !text.windows(5).any(|window| window == b"\n300\n") {
            assert_ne!(healthy.read_buf(&mut text).await.unwrap(), 0, "stays open");
        }
    };
    timeout(PATIENCE, reads).await.expect("300 ticks of 5 ms");
    let text = String::from_utf8(text).unwrap();
    let numbers = text.lines().filter_map(|line| line.parse::<u64>().ok());
    // Lines of the chunked encoding that look like numbers: the lengths 2, 3 and 4.
    let mut expected = 0;
    for number in numbers {
        if number == expected {
            expected += 1;
        } else {
            assert!((2..=4).contains(&number), "{number} instead of {expected}");
        }
    }
    assert!(expected > 300);
    until(|| {
        server
            .handle
            .slow_disconnects(SlowDisconnect::WriteDeadline)
            == 20
    })
    .await;
    assert_eq!(server.handle.open(), 1);
}

#[tokio::test]
async fn a_write_fails_with_timed_out_and_so_do_later_ones() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let deadline = Some(Duration::from_millis(300));
    let listener = BackpressureListener::builder(tcp)
        .write_deadline(deadline)
        .build()
        .unwrap();
    let handle = listener.handle();
    let mut client = TcpStream::connect(addr).await.unwrap();
    let mut incoming = listener.incoming();
    let mut io = incoming.next().await.unwrap().unwrap();
    let started = Instant::now();
    let error = loop {
        if let Err(error) = io.write_all(&[0; 4096]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(
        io.write(b"more").await.unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(handle.slow_disconnects(SlowDisconnect::WriteDeadline), 1);
    assert_eq!((handle.open(), handle.blocked()), (1, 1));
    drop(io);
    assert_eq!((handle.open(), handle.blocked()), (0, 0));
    // The kernel has discarded what it had not sent: a reset follows what it had sent.
    let mut all = Vec::new();
    let end = timeout(PATIENCE, client.read_to_end(&mut all))
        .await
        .unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_composes_with_a_bounded_listener_on_either_side_of_tap_io() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let tapped = tcp.tap_io(|stream| _ = stream.set_ttl(32));
    let inner = BackpressureListener::new(tapped);
    let handle = inner.handle();
    let bounded = BoundedListener::new(inner, 1).unwrap();
    let app = Router::new().route("/", get(|| async { "hello" }));
    tokio::spawn(async move { axum::serve(bounded, app).await });

    let mut first = request(addr, "/").await;
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut second = request(addr, "/").await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(
        (handle.accepted(), handle.open()),
        (1, 1),
        "the second waits"
    );
    drop(first);
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(handle.accepted(), 2);
}

#[test]
fn settings_out_of_bounds_name_the_setting_and_the_bound() {
    let builder = || BackpressureListener::<()>::builder(());
    let cases = [
        (
            builder().unsent_low_water(Some(0)),
            "unsent_low_water must be in 1..=2^30 bytes, got 0",
        ),
        (
            builder().write_deadline(Some(Duration::ZERO)),
            "write_deadline must be in 1 ms..=24 h, got 0ns",
        ),
        (
            builder().user_timeout(Some(Duration::from_micros(10))),
            "user_timeout must be in 1 ms..=2^32-1 ms, got 10µs",
        ),
        (
            builder().keep_alive(Some(Duration::from_millis(10))),
            "keep_alive must be in 1 s..=32767 s, got 10ms",
        ),
    ];
    for (builder, message) in cases {
        let error: InvalidBackpressureListener = builder.build().unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert!(
        builder()
            .unsent_low_water(None)
            .write_deadline(None)
            .build()
            .is_ok()
    );
    assert_eq!(Unsent::default().connections, 0);
}
