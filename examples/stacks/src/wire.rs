//! A server and a client on real sockets.

use std::net::SocketAddr;

use axum::body::{Body, Bytes, HttpBody};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

/// Any HTTP stack as one type, so that the server is compiled once.
type Boxed = BoxCloneSyncService<Request<Incoming>, Response<Body>, std::io::Error>;

/// A response as received.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body, not decoded.
    pub body: Bytes,
}

/// Serves the stack, over HTTP/1, until the test ends.
///
/// # Panics
///
/// When there is no free port.
pub async fn serve<S, B>(stack: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let stack = stack
        .map_response(|response| response.map(Body::new))
        .map_err(|error| std::io::Error::other(error.into()));
    accept(Boxed::new(stack)).await
}

async fn accept(stack: Boxed) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let stack = TowerToHyperService::new(stack.clone());
            tokio::spawn(async move {
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(socket), stack);
                _ = connection.await;
            });
        }
    });
    address
}

/// A client that uses no proxy and follows no redirect.
///
/// # Panics
///
/// When the client cannot be built.
pub fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().expect("a client without TLS")
}

/// Posts a body as a browser on the same origin does, with credentials and a request for
/// compression.
///
/// # Panics
///
/// When no response arrives.
pub async fn post(address: SocketAddr, body: &'static str) -> Answer {
    let request = client()
        .post(format!("http://{address}/"))
        .header("origin", format!("http://{address}"))
        .header("accept", "*/*")
        .header("accept-encoding", "gzip")
        .header("x-trace", "7")
        .bearer_auth("secret");
    ask(request.body(body)).await
}

/// Sends the request and reads the whole response.
///
/// # Panics
///
/// When no response arrives.
pub async fn ask(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.expect("a whole body"),
    }
}

/// Serves a stack whose gate admits one request: checks that the first is answered with 200 and the
/// second with 429.
///
/// # Panics
///
/// When the responses differ from that.
pub async fn check<S, B>(stack: S) -> [Answer; 2]
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let address = serve(stack).await;
    let admitted = post(address, "hello").await;
    assert_eq!(admitted.status, StatusCode::OK, "{admitted:?}");
    if !admitted.headers.contains_key("content-encoding") {
        assert_eq!(admitted.body, "hello");
    }
    let rejected = post(address, "hello").await;
    assert_eq!(
        rejected.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{rejected:?}"
    );
    assert_eq!(rejected.headers["plimsoll-rejected-by"], "rate-limit");
    [admitted, rejected]
}
