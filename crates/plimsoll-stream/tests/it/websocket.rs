//! WebSocket connections with a queue per client, over real sockets.

mod bad_input;
mod ends;
mod flow;
#[cfg(feature = "metrics")]
mod metrics;
mod slow;

use std::{future::Future, net::SocketAddr, time::Duration};

use axum::{Router, extract::State, routing::any};
use futures_util::{SinkExt as _, StreamExt as _};
use plimsoll_stream::{
    QueuePolicy,
    listener::BackpressureListener,
    websocket::{Client, CloseReason, Handshake, WebSocketLimits, WebSockets},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::CloseFrame},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longer than anything here takes, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves `handler` at `/` and `/echo`; the sockets have a low-water mark and no write deadline.
async fn serve<F, Fut>(sockets: &WebSockets, handler: F) -> SocketAddr
where
    F: Fn(Client) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let app = Router::new()
        .route(
            "/",
            any(
                |State(sockets): State<WebSockets>, handshake: Handshake| async move {
                    sockets.accept(handshake, handler)
                },
            ),
        )
        .with_state(sockets.clone());
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::builder(tcp)
        .write_deadline(None)
        .build()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Serves connections whose handler gives its client to the test, and waits for the end.
async fn serve_to_test(sockets: &WebSockets) -> (SocketAddr, mpsc::UnboundedReceiver<Client>) {
    let (sender, clients) = mpsc::unbounded_channel();
    let addr = serve(sockets, move |client| {
        let sender = sender.clone();
        async move {
            let own = client.sender();
            _ = sender.send(client);
            own.closed().await;
        }
    })
    .await;
    (addr, clients)
}

async fn connect(addr: SocketAddr) -> Socket {
    connect_async(format!("ws://{addr}/")).await.unwrap().0
}

fn limits(capacity: usize, policy: QueuePolicy) -> WebSocketLimits {
    WebSocketLimits::new(capacity, policy)
}

/// The next message but pings.
async fn next(socket: &mut Socket) -> Message {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message");
        match message.expect("is open").expect("is valid") {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return message,
        }
    }
}

async fn next_text(socket: &mut Socket) -> String {
    next(socket).await.into_text().unwrap().to_string()
}

/// The code and the reason of the close frame, which comes after any data.
async fn close_frame(socket: &mut Socket) -> (u16, String) {
    loop {
        if let Message::Close(frame) = next(socket).await {
            let CloseFrame { code, reason } = frame.expect("has a code");
            return (code.into(), reason.to_string());
        }
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    let waits = async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = timeout(PATIENCE, waits).await;
    waited.expect("the condition becomes true");
}

#[tokio::test]
async fn messages_go_both_ways_and_are_counted() {
    let sockets = limits(8, QueuePolicy::BLOCK).build().unwrap();
    let addr = serve(&sockets, |client| async move {
        while let Some(message) = client.recv().await {
            client.send(message).await.unwrap();
        }
    })
    .await;
    let mut socket = connect(addr).await;
    for n in 0..20 {
        socket.send(Message::text(format!("{n}"))).await.unwrap();
        assert_eq!(next_text(&mut socket).await, format!("{n}"));
    }
    socket.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::binary(vec![0, 1, 2]));
    assert_eq!((sockets.open(), sockets.accepted()), (1, 1));
    socket.close(None).await.unwrap();
    until(|| sockets.open() == 0).await;
    assert_eq!((sockets.messages_in(), sockets.messages_out()), (21, 21));
    assert_eq!(sockets.bytes_in(), sockets.bytes_out());
    assert_eq!(sockets.closed(CloseReason::Client), 1);
    assert_eq!((sockets.undelivered(), sockets.gaps()), (0, 0));
}
