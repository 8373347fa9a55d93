//! Streams that are ended because their client does not read.

use std::{convert::Infallible, future::pending, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, response::sse::Sse, routing::get};
use futures_util::{StreamExt, stream};
use plimsoll_stream::grpc::{InvalidStreamServer, StreamServer, StreamServerHandle, Windows};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tonic::{
    Code,
    transport::{Server, server::TcpConnectInfo},
};

use super::fixture::{
    Answers, Client, Count, Msg, SIZE, in_time, listen, read, read_all, serve, serve_streams,
    service, settled, small, until,
};

/// Long enough for a busy machine to be on time with what is not late.
const DEADLINE: Duration = Duration::from_secs(1);
/// Messages without an end.
const ENDLESS: u64 = 1 << 40;

/// Streams of a connection. The client's own window has room for more that it does not read.
const STREAMS: u32 = 16;

fn server() -> StreamServer {
    let windows = Windows::builder().max_concurrent_streams(STREAMS).build();
    let server = StreamServer::builder().windows(windows.unwrap());
    server.write_deadline(DEADLINE).build().unwrap()
}

/// `/stream` sends without an end, `/finite` 300 messages, `/idle` one message, `/late` its first one
/// after twice the deadline, and `/long` one message of 1 MiB. Counts what is sent and the streams.
async fn start() -> (SocketAddr, StreamServerHandle, Count, Count) {
    let server = server();
    let handle = server.handle();
    let (sent, open) = (Count::default(), Count::default());
    let (messages, streams) = (sent.clone(), open.clone());
    let addr = serve_streams(server, move |path, _| {
        let held = streams.hold();
        let answers: Answers = match path {
            "/stream" => messages.messages(ENDLESS).map(Ok).boxed(),
            "/finite" => messages.messages(300).map(Ok).boxed(),
            "/idle" => stream::iter([Ok(small(0))])
                .chain(stream::pending())
                .boxed(),
            "/late" => stream::once(async {
                sleep(DEADLINE * 2).await;
                Ok(small(0))
            })
            .boxed(),
            _ => stream::iter([Ok(Msg {
                seq: 0,
                payload: vec![7; 1 << 20],
            })])
            .boxed(),
        };
        let held = answers.inspect(move |_| _ = &held);
        Ok(held.boxed())
    })
    .await;
    (addr, handle, sent, open)
}

#[tokio::test]
async fn law_07_a_stream_that_is_not_read_ends_in_time_and_its_siblings_continue() {
    let (addr, handle, sent, open) = start().await;
    let client = Client::connect(addr).await;
    let mut idle = client.call("/idle").await.unwrap();
    assert_eq!(read(&mut idle, 1).await, [0]);
    let mut unread = client.call("/stream").await.unwrap();
    until("the window is full", || handle.blocked() == 1).await;
    let since = Instant::now();
    until("the unread stream has ended", || open.get() == 1).await;
    // The window was full before the gauge was read.
    let after = since.elapsed();
    assert!(after > DEADLINE / 2, "after {after:?}");
    assert_eq!((handle.blocked(), handle.slow_disconnects()), (0, 1));

    // What has arrived is lost with the stream, and the client sees why.
    let (seqs, status) = read_all(&mut unread).await;
    assert!(seqs.len() <= sent.get());
    assert_eq!(status.unwrap().code(), Code::Cancelled);
    let mut sibling = client.call("/finite").await.unwrap();
    assert_eq!(read_all(&mut sibling).await.0.len(), 300);
    let idle = timeout(Duration::from_millis(50), idle.message()).await;
    assert!(idle.is_err(), "a stream without messages has ended");
}

/// The negative control: without it, the test above would prove nothing about this server.
#[tokio::test]
async fn a_server_of_tonic_keeps_a_stream_that_is_not_read() {
    let (sent, open) = (Count::default(), Count::default());
    let (messages, streams) = (sent.clone(), open.clone());
    let server = Windows::default().server(Server::builder());
    let addr = serve(server, move |_, _| {
        let held = streams.hold();
        let answers = messages.messages(ENDLESS).map(Ok);
        Ok(answers.inspect(move |_| _ = &held).boxed())
    })
    .await;
    let client = Client::connect(addr).await;
    let _unread = client.call("/stream").await.unwrap();
    settled(|| sent.get()).await;
    sleep(DEADLINE * 3).await;
    assert_eq!(open.get(), 1);
}

#[tokio::test]
async fn a_client_that_reads_a_window_now_and_then_is_not_ended() {
    let (addr, handle, sent, _) = start().await;
    let client = Client::connect(addr).await;
    let mut slow = client.call("/stream").await.unwrap();
    let window = Windows::default().stream() as usize / SIZE;
    let mut next = 0;
    for _ in 0..8 {
        settled(|| sent.get()).await;
        assert_eq!(handle.blocked(), 1, "it does wait for the window");
        let seqs = read(&mut slow, window).await;
        assert!(seqs.into_iter().eq(next..next + window as u64));
        next += window as u64;
    }
    assert_eq!(handle.slow_disconnects(), 0);
}

#[tokio::test]
async fn a_stream_whose_handler_is_late_is_not_ended() {
    let (addr, handle, ..) = start().await;
    let client = Client::connect(addr).await;
    let mut late = client.call("/late").await.unwrap();
    assert_eq!(read_all(&mut late).await.0, [0]);
    assert_eq!(handle.slow_disconnects(), 0);
}

#[tokio::test]
async fn one_long_message_that_is_not_read_ends_in_time() {
    let (addr, handle, _, open) = start().await;
    let client = Client::connect(addr).await;
    let _unread = client.call("/long").await.unwrap();
    until("it has ended", || open.get() == 0).await;
    until("it was counted", || handle.slow_disconnects() == 1).await;
}

#[tokio::test]
async fn a_long_message_arrives_whole() {
    let (addr, ..) = start().await;
    let client = Client::connect(addr).await;
    let mut long = client.call("/long").await.unwrap();
    let message = in_time("the message", long.message()).await;
    let payload = message.unwrap().unwrap().payload;
    assert_eq!(payload, vec![7; 1 << 20]);
}

#[tokio::test]
async fn many_streams_that_are_not_read_free_their_places() {
    let (addr, handle, _, open) = start().await;
    let client = Client::connect(addr).await;
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        unread.push(client.call("/stream").await.unwrap());
    }
    // It is sent when a place is free.
    let mut next = client.call("/finite").await.unwrap();
    assert_eq!(read_all(&mut next).await.0.len(), 300);
    until("all have ended", || open.get() == 0).await;
    assert_eq!(handle.slow_disconnects(), u64::from(STREAMS));
}

#[tokio::test]
async fn after_a_shutdown_streams_that_are_not_read_delay_the_end_by_their_deadline() {
    let (addr, incoming) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = server();
    let handle = server.handle();
    let messages = Count::default();
    let service = service(move |_, _| Ok(messages.messages(ENDLESS).map(Ok).boxed()));
    let served = tokio::spawn(server.serve_with_shutdown(incoming, service, async {
        _ = stopped.await;
    }));
    let client = Client::connect(addr).await;
    let _unread = client.call("/stream").await.unwrap();
    until("the window is full", || handle.blocked() == 1).await;
    stop.send(()).unwrap();
    in_time("the end of the server", served).await.unwrap();
    assert_eq!(handle.slow_disconnects(), 1);
}

#[tokio::test]
async fn an_axum_router_has_the_deadline_and_the_address_of_its_client() {
    let open = Count::default();
    let streams = open.clone();
    let ticks = move || {
        let held = streams.hold();
        let event = axum::response::sse::Event::default().data("x".repeat(SIZE));
        let events = stream::repeat(event).map(move |event| {
            _ = &held;
            Ok::<_, Infallible>(event)
        });
        async { Sse::new(events) }
    };
    let router = Router::new().route("/ticks", get(ticks)).route(
        "/address",
        get(|request: http::Request<Body>| async move {
            let info = request.extensions().get::<TcpConnectInfo>();
            info.and_then(TcpConnectInfo::remote_addr)
                .map(|addr| addr.to_string())
                .unwrap_or_default()
        }),
    );
    let (addr, incoming) = listen().await;
    tokio::spawn(server().serve(incoming, router));
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let own = stream.local_addr().unwrap().to_string();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://{addr}{path}");
        http::Request::get(uri).body(Body::empty()).unwrap()
    };
    let unread = client.send_request(request("/ticks")).await.unwrap();
    let address = client.send_request(request("/address")).await.unwrap();
    let address = axum::body::to_bytes(Body::new(address.into_body()), 100).await;
    assert_eq!(address.unwrap(), own);
    assert_eq!(open.get(), 1);
    until("the unread events have ended", || open.get() == 0).await;
    drop(unread);
}

#[tokio::test]
async fn connections_that_cannot_be_accepted_are_left_out() {
    let (addr, incoming) = listen().await;
    let failed = stream::iter([Err(std::io::Error::other("no descriptor"))]);
    let service = service(|_, _| Ok(stream::iter([Ok(small(7))]).boxed()));
    tokio::spawn(server().serve(failed.chain(incoming), service));
    let client = Client::connect(addr).await;
    let mut answers = client.call("/stream").await.unwrap();
    assert_eq!(read_all(&mut answers).await.0, [7]);
}

#[tokio::test]
async fn a_service_that_never_answers_is_left_to_its_handler() {
    let server = server();
    let handle = server.handle();
    let (addr, incoming) = listen().await;
    let router = Router::new().fallback(pending::<()>);
    tokio::spawn(server.serve(incoming, router));
    let client = Client::connect(addr).await;
    let call = timeout(DEADLINE * 2, client.call("/stream")).await;
    assert!(call.is_err());
    assert_eq!((handle.blocked(), handle.slow_disconnects()), (0, 0));
}

#[test]
fn deadlines_out_of_bounds_name_field_and_bound() {
    for deadline in [Duration::ZERO, Duration::from_secs(90_000)] {
        let error = StreamServer::builder().write_deadline(deadline).build();
        let error = error.unwrap_err();
        assert_eq!(error, InvalidStreamServer::WriteDeadline(deadline));
        let message = error.to_string();
        assert!(message.starts_with("write_deadline must be in 1 ms..=24 h, got"));
    }
    for deadline in [Duration::from_millis(1), Duration::from_secs(86_400)] {
        let server = StreamServer::builder().write_deadline(deadline).build();
        assert!(server.is_ok());
    }
}

#[test]
fn the_default_deadline_is_30_seconds() {
    let by_default = format!("{:?}", StreamServer::builder());
    assert!(by_default.contains("write_deadline: 30s"), "{by_default}");
}
