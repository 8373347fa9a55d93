//! A server that accepts connections and ends streams that are not read.

use std::{
    fmt,
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tonic::transport::server::Connected;
use tower::{Service, ServiceBuilder};

use super::{
    body::WatchedBody,
    executor::StreamExecutor,
    handle::{Counters, StreamServerHandle},
};
use crate::grpc::windows::Windows;

/// The pause after a connection that could not be accepted.
///
/// 100 ms: a process without free file descriptors does not loop, and accepts again soon.
/// `connections_that_cannot_be_accepted_are_left_out`.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A server whose streams end when their client does not read for a write deadline.
///
/// tonic's own server cannot do that. While the window of a stream is closed, its response is not
/// polled, and a status would wait behind the messages. This server has the task of each stream, so
/// it resets a stream whose window stays closed: the response is dropped, what waits to be sent is
/// discarded, and the client sees `CANCELLED`. Other streams of the connection continue.
///
/// ```no_run
/// use std::time::Duration;
///
/// use plimsoll_stream::grpc::{StreamServer, Windows};
/// use tokio::net::TcpListener;
/// use tonic::{service::Routes, transport::server::TcpIncoming};
///
/// # async fn run(routes: Routes) -> Result<(), Box<dyn std::error::Error>> {
/// let server = StreamServer::builder()
///     .windows(Windows::default())
///     .write_deadline(Duration::from_secs(10))
///     .build()?;
/// let handle = server.handle(); // counters and gauges
/// let tcp = TcpListener::bind("0.0.0.0:50051").await?;
/// let incoming = TcpIncoming::from(tcp).with_nodelay(Some(true));
/// server.serve(incoming, routes).await;
/// # drop(handle);
/// # Ok(()) }
/// ```
///
/// # What it serves
///
/// Any service of `http::Request` whose body is bytes: tonic's
/// [`Routes`](https://docs.rs/tonic/latest/tonic/service/struct.Routes.html), also inside of layers,
/// and an axum `Router`, whose streams over HTTP/2 have the same need. HTTP/1 is served, too; there
/// the deadline is that of the socket, by `BackpressureListener` (feature `listener`). Put the gate
/// around the routes with `ServiceBuilder`.
///
/// Handlers find the [`ConnectInfo`](Connected::ConnectInfo) of the connection in the extensions of
/// the request, so that `Request::remote_addr` of tonic works. For TLS, accept with tokio-rustls and
/// pass the streams.
///
/// | setting of tonic's server | here |
/// |---|---|
/// | windows, number of streams, keep-alive | [`windows`](super::StreamServerBuilder::windows) |
/// | `concurrency_limit_per_connection`, `load_shed`, `layer` | layers around the service |
/// | `timeout`, and `grpc-timeout` as a timeout of the handler | none: gates read that deadline, and the client ends the call |
/// | `max_connection_age` | none |
///
/// # What it does not end
///
/// A response of which all was taken: its last 16 KiB and its trailers can wait for the window until
/// the connection ends. A stream whose handler still runs or that has nothing to send waits for the
/// handler, and not for the client. A bidirectional stream is reset once its handler has dropped
/// the request's messages, too.
///
/// The deadline does not distinguish why a stream cannot be sent. When streams that a client does
/// not read fill the window of its connection, the other streams of the connection end, too.
///
/// # Cost
///
/// Each stream has a task, as with tonic. It allocates a timer when its window is closed for the
/// first time, and no other memory. Clones share the counters.
#[doc(alias("deadline", "slow client", "RST_STREAM"))]
#[derive(Clone)]
pub struct StreamServer {
    connections: auto::Builder<StreamExecutor>,
    counters: Arc<Counters>,
}

impl StreamServer {
    pub(super) fn with(windows: Windows, deadline: Duration, counters: Arc<Counters>) -> Self {
        let executor = StreamExecutor {
            deadline,
            counters: Arc::clone(&counters),
        };
        let mut connections = auto::Builder::new(executor);
        // Without a timer hyper has no timeout for the head of a request.
        connections.http1().timer(TokioTimer::new());
        connections
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(windows.stream)
            .initial_connection_window_size(windows.connection)
            .max_concurrent_streams(windows.max_concurrent_streams);
        if let Some(keep_alive) = windows.keep_alive {
            connections
                .http2()
                .keep_alive_interval(keep_alive.every)
                .keep_alive_timeout(keep_alive.timeout);
        }
        Self {
            connections,
            counters,
        }
    }

    /// Returns a handle on the counters and gauges of the server.
    pub fn handle(&self) -> StreamServerHandle {
        StreamServerHandle::new(Arc::clone(&self.counters))
    }

    /// Serves the connections until `incoming` ends and the last connection is closed.
    ///
    /// An error of `incoming` is a connection that could not be accepted; the next one follows after
    /// 100 ms.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops accepting. Connections have tasks of their own and continue.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio with a timer.
    pub async fn serve<Io, E, S, B>(self, incoming: impl Stream<Item = Result<Io, E>>, service: S)
    where
        Io: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Error> + Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        self.serve_with_shutdown(incoming, service, pending()).await;
    }

    /// As [`serve`](Self::serve), and stops accepting after `signal`.
    ///
    /// Connections then take no new stream. The future ends when the last one is closed; streams
    /// that are not read end by their deadline, and endless ones must be ended by their handlers.
    ///
    /// # Cancellation
    ///
    /// As for `serve`. Dropped after the signal, the connections still close after their streams.
    ///
    /// # Panics
    ///
    /// As for `serve`.
    pub async fn serve_with_shutdown<Io, E, S, B>(
        self,
        incoming: impl Stream<Item = Result<Io, E>>,
        service: S,
        signal: impl Future<Output = ()>,
    ) where
        Io: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Error> + Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let connections = GracefulShutdown::new();
        let mut signal = pin!(signal);
        {
            // Dropped before the wait below, so that no client connects to a server that has ended.
            let mut incoming = pin!(incoming);
            loop {
                let io = tokio::select! {
                    () = &mut signal => break,
                    io = poll_fn(|cx| incoming.as_mut().poll_next(cx)) => io,
                };
                match io {
                    Some(Ok(io)) => {
                        let info = io.connect_info();
                        let service = ServiceBuilder::new()
                            .map_request(move |mut request: Request<Incoming>| {
                                request.extensions_mut().insert(info.clone());
                                request
                            })
                            .map_response(|response: Response<B>| response.map(WatchedBody::new))
                            .service(service.clone());
                        let service = TowerToHyperService::new(service);
                        let connection = self
                            .connections
                            .serve_connection_with_upgrades(TokioIo::new(io), service);
                        let connection = connections.watch(connection.into_owned());
                        tokio::spawn(async move {
                            // An error ends the connection, and its streams see it.
                            _ = connection.await;
                        });
                    }
                    Some(Err(_)) => sleep(ACCEPT_RETRY).await,
                    None => break,
                }
            }
        }
        connections.shutdown().await;
    }
}

impl fmt::Debug for StreamServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamServer")
            .field("handle", &self.handle())
            .finish_non_exhaustive()
    }
}
