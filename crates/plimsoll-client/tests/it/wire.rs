//! Retries over real sockets: hyper's client, axum's server, the gates of both.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use axum::{Router, body::Body, extract::ConnectInfo, http::StatusCode, routing::any};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use plimsoll_client::{Backoff, Jitter, RetryLayer};
use plimsoll_core::GateLayer;
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _};

use crate::{ms, within_a_minute};

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/")
}

fn client<B>() -> Client<hyper_util::client::legacy::connect::HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

/// A body whose second half comes 5 ms after the first one. hyper reads what is there when a body is
/// dropped, and closes the connection of a body that has not ended.
#[derive(Default)]
struct Late {
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    is_sent: bool,
}

impl http_body::Body for Late {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let half = || Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half")))));
        let Some(timer) = &mut self.timer else {
            self.timer = Some(Box::pin(tokio::time::sleep(ms(5))));
            return half();
        };
        ready!(timer.as_mut().poll(cx));
        if std::mem::replace(&mut self.is_sent, true) {
            return Poll::Ready(None);
        }
        half()
    }
}

fn layer() -> RetryLayer {
    let backoff = Backoff::new(ms(5), ms(20)).unwrap();
    RetryLayer::builder().backoff(backoff).build().unwrap()
}

#[tokio::test]
async fn a_body_is_sent_again_to_a_server_that_failed() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let app = Router::new().fallback(any(async move |body: Bytes| {
        if counted.fetch_add(1, Relaxed) < 2 {
            return (StatusCode::SERVICE_UNAVAILABLE, Bytes::from("later"));
        }
        (StatusCode::OK, body)
    }));
    let url = serve(app).await;
    let request = Request::put(url)
        .body(Full::<Bytes>::from("order 66"))
        .unwrap();
    let answer = within_a_minute(layer().layer(client()).oneshot(request))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "order 66"
    );
    assert_eq!(calls.load(Relaxed), 3);
}

#[tokio::test]
async fn a_connection_is_reused_after_a_failed_answer() {
    let ports = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&ports);
    let app = Router::new().fallback(any(
        async move |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| {
            let mut ports = noted.lock().unwrap();
            ports.push(peer.port());
            if ports.len() < 3 {
                return (StatusCode::SERVICE_UNAVAILABLE, Body::new(Late::default()));
            }
            (StatusCode::OK, Body::empty())
        },
    ));
    let url = serve(app).await;
    let request = Request::get(url).body(Full::<Bytes>::default()).unwrap();
    let backoff = Backoff::new(ms(200), ms(400))
        .unwrap()
        .jitter(Jitter::Equal);
    let layer = RetryLayer::builder().backoff(backoff).build().unwrap();
    let answer = within_a_minute(layer.layer(client()).oneshot(request))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let ports = ports.lock().unwrap();
    assert_eq!(ports.len(), 3);
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
}

#[tokio::test]
async fn the_rejection_of_a_server_gate_is_retried_for_a_post_after_its_hint() {
    let rate = RateLimit::new(Quota::per_second(1).burst(1)).unwrap();
    let app = Router::new()
        .fallback(any(async |body: Bytes| body))
        .layer(GateLayer::new(rate));
    let url = serve(app).await;
    let layer = layer();
    let client = layer.layer(client());
    for _ in 0..2 {
        let request = Request::post(&url).body(Full::<Bytes>::from("x")).unwrap();
        let answer = within_a_minute(client.clone().oneshot(request))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!((layer.handle().retries(), layer.handle().free()), (1, 1));
}

#[tokio::test]
async fn a_refused_connection_is_retried_for_every_method() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let layer = layer();
    let request = Request::post(format!("http://{address}/")).body(Full::<Bytes>::from("x"));
    let answer = layer.layer(client()).oneshot(request.unwrap()).await;
    assert!(answer.is_err());
    assert_eq!(layer.handle().retries(), 2);
    assert_eq!(
        layer.handle().budget().taken(),
        2,
        "a callee that is away costs budget"
    );
}
