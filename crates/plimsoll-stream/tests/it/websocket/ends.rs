//! How connections begin and end.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, extract::ws, response::Response};
use http::{Request, StatusCode};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{
    GateLayer, Instant, Kind, LoadSignal as _, Outcome, Policy, Rejection, policy::Verdict,
};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::*;

/// A gate's policy that rejects as a full `WebSockets` does.
struct Full;

impl<Req> Policy<Req> for Full {
    type Permit = Infallible;
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<Infallible, Infallible> {
        let hint = Duration::from_secs(5);
        Verdict::Reject(Rejection::new("websocket", Kind::Full).with_retry_after(hint))
    }

    fn finish(&self, _: Infallible, _: &Outcome) {}

    fn revoke(&self, _: Infallible, _: Instant, _: Instant) {}
}

#[tokio::test]
async fn a_handshake_above_the_limit_is_rejected_as_by_every_gate() {
    let sockets = limits(4, QueuePolicy::BLOCK)
        .max_connections(1)
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut first = connect(addr).await;
    let client = clients.recv().await.unwrap();
    assert!((sockets.load() - 1.0).abs() < 1e-9);

    let error = connect_async(format!("ws://{addr}/")).await.unwrap_err();
    let tokio_tungstenite::tungstenite::Error::Http(rejected) = error else {
        panic!("{error}");
    };
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    let hint: u64 = rejected.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((5..=10).contains(&hint), "{hint}");
    assert_eq!(sockets.rejected(), 1);

    let service = tower::ServiceBuilder::new()
        .layer(GateLayer::new(Full))
        .service(tower::service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
    let gate = service.oneshot(Request::new(())).await.unwrap();
    let names = ["cache-control", "content-type", "plimsoll-rejected-by"];
    for name in names {
        assert_eq!(rejected.headers()[name], gate.headers()[name], "{name}");
    }
    assert_eq!(gate.headers().len(), names.len() + 1, "and the hint");
    let body = axum::body::to_bytes(Body::new(gate.into_body()), 10_000)
        .await
        .unwrap();
    assert_eq!(rejected.body().as_ref().unwrap()[..], body[..]);

    first.close(None).await.unwrap();
    until(|| sockets.open() == 0).await;
    drop((connect(addr).await, client));
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_answered_as_by_axum() {
    let sockets = limits(4, QueuePolicy::BLOCK).build().unwrap();
    let app = Router::new().route(
        "/",
        any(|handshake: Handshake| async move { sockets.accept(handshake, |_| async {}) }),
    );
    let request = Request::get("/").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn queued_messages_are_written_before_the_close_when_the_handler_returns() {
    let sockets = limits(100, QueuePolicy::BLOCK).build().unwrap();
    let addr = serve(&sockets, |client| async move {
        for n in 0..100 {
            client.send(format!("{n}")).await.unwrap();
        }
    })
    .await;
    let mut socket = connect(addr).await;
    for n in 0..100 {
        let mut text = next_text(&mut socket).await;
        while text.contains("flow.") {
            text = next_text(&mut socket).await;
        }
        assert_eq!(text, n.to_string());
    }
    assert_eq!(close_frame(&mut socket).await, (1000, String::new()));
    until(|| sockets.open() == 0).await;
    assert_eq!(
        (sockets.closed(CloseReason::Done), sockets.undelivered()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_paused_client_does_not_hold_up_the_end_of_its_handler() {
    let sockets = limits(100, QueuePolicy::BLOCK)
        .write_deadline(Duration::from_millis(300))
        .build()
        .unwrap();
    let addr = serve(&sockets, |client| async move {
        while client.paused_for().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        client.send("undelivered").await.unwrap();
    })
    .await;
    let mut socket = connect(addr).await;
    socket
        .send(Message::text(r#"{"event":"flow.pause"}"#))
        .await
        .unwrap();
    assert_eq!(close_frame(&mut socket).await.0, 1000);
    until(|| sockets.undelivered() == 1).await;
}

#[tokio::test]
async fn a_panic_of_the_handler_closes_its_client_only() {
    let sockets = limits(4, QueuePolicy::BLOCK).build().unwrap();
    let addr = serve(&sockets, |client| async move {
        while let Some(message) = client.recv().await {
            assert_ne!(message, ws::Message::text("panic"));
            client.send(message).await.unwrap();
        }
    })
    .await;
    let (mut one, mut other) = (connect(addr).await, connect(addr).await);
    one.send(Message::text("panic")).await.unwrap();
    assert_eq!(
        close_frame(&mut one).await,
        (1011, "internal error".to_owned())
    );
    other.send(Message::text("works")).await.unwrap();
    assert_eq!(next_text(&mut other).await, "works");
    until(|| sockets.open() == 1).await;
    assert_eq!(sockets.closed(CloseReason::Panicked), 1);
}

#[tokio::test]
async fn a_close_frame_in_the_queue_comes_after_the_messages_before_it() {
    let sockets = limits(10, QueuePolicy::BLOCK).build().unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    client.try_send("last").unwrap();
    let frame = ws::CloseFrame {
        code: 4100,
        reason: "bye".into(),
    };
    client
        .try_send(ws::Message::Close(Some(frame.clone())))
        .unwrap();
    assert_eq!(next_text(&mut socket).await, "last");
    assert_eq!(close_frame(&mut socket).await, (4100, "bye".to_owned()));
    let closed = client.closed().await;
    assert_eq!(
        (closed.reason, closed.frame),
        (CloseReason::Application, Some(frame))
    );
}

#[tokio::test]
async fn all_clients_are_closed_before_a_shutdown() {
    let sockets = limits(10, QueuePolicy::BLOCK).build().unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(connect(addr).await);
        clients.recv().await.unwrap();
    }
    sockets.close_all(&ws::CloseFrame {
        code: 1001,
        reason: "going away".into(),
    });
    for mut socket in connections {
        assert_eq!(
            close_frame(&mut socket).await,
            (1001, "going away".to_owned())
        );
    }
    until(|| sockets.open() == 0).await;
    assert_eq!(sockets.closed(CloseReason::Application), 5);
}

#[tokio::test]
async fn a_connection_counts_until_its_handler_has_returned() {
    let sockets = limits(10, QueuePolicy::BLOCK).build().unwrap();
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let addr = serve(&sockets, move |client| {
        let released = Arc::clone(&released);
        async move {
            assert!(client.recv().await.is_none());
            released.notified().await;
        }
    })
    .await;
    let mut socket = connect(addr).await;
    socket.close(None).await.unwrap();
    until(|| sockets.closed(CloseReason::Client) == 1).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(sockets.open(), 1);
    release.notify_one();
    until(|| sockets.open() == 0).await;
}

#[tokio::test]
async fn the_permit_of_a_gate_is_held_as_long_as_the_connection() {
    let sockets = limits(10, QueuePolicy::BLOCK).build().unwrap();
    let limit = ConcurrencyLimit::new(5).unwrap();
    let handle = limit.handle();
    let accepting = sockets.clone();
    let app = Router::new()
        .route(
            "/",
            any(|handshake: Handshake| async move {
                accepting.accept(handshake, |client| async move {
                    client.recv().await;
                })
            }),
        )
        .layer(GateLayer::new(limit));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(tcp, app).await });
    let mut socket = connect(addr).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(handle.in_flight(), 1);
    socket.close(None).await.unwrap();
    until(|| handle.in_flight() == 0).await;
}
