//! A service with one bidirectional method for each path, its client, and streams that count.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body::Body as HttpBody;
use plimsoll_stream::grpc::{StreamServer, Windows};
use tokio::{net::TcpListener, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// Longer than anything takes that works, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a message, about.
pub(crate) const SIZE: usize = 1 << 10;

/// The message of all calls.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Msg {
    #[prost(uint64, tag = "1")]
    pub(crate) seq: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

/// A message of 1 KiB.
pub(crate) fn message(seq: u64) -> Msg {
    let payload = vec![7; SIZE];
    Msg { seq, payload }
}

/// A message of few bytes.
pub(crate) fn small(seq: u64) -> Msg {
    let payload = Vec::new();
    Msg { seq, payload }
}

pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<Msg, Status>> + Send>>;

/// Serves a handler for all paths.
pub(crate) async fn serve(
    server: Server,
    handler: impl Fn(&str, Streaming<Msg>) -> Result<Answers, Status> + Send + Sync + 'static,
) -> SocketAddr {
    let (addr, incoming) = listen().await;
    tokio::spawn(server.serve_with_incoming(service::<Body, _>(handler), incoming));
    addr
}

/// The same by a server with a write deadline.
pub(crate) async fn serve_streams(
    server: StreamServer,
    handler: impl Fn(&str, Streaming<Msg>) -> Result<Answers, Status> + Send + Sync + 'static,
) -> SocketAddr {
    let (addr, incoming) = listen().await;
    tokio::spawn(server.serve(incoming, service(handler)));
    addr
}

pub(crate) async fn listen() -> (SocketAddr, TcpListenerStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (addr, TcpListenerStream::new(listener))
}

/// A service that calls the handler.
pub(crate) fn service<B, H>(
    handler: H,
) -> impl Service<
    http::Request<B>,
    Response = http::Response<Body>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static
where
    B: HttpBody<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send>
        + Send
        + 'static,
    H: Fn(&str, Streaming<Msg>) -> Result<Answers, Status> + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    service_fn(move |request: http::Request<B>| {
        let handler = Arc::clone(&handler);
        async move {
            let path = request.uri().path().to_owned();
            let call = service_fn(|request: Request<Streaming<Msg>>| {
                let answers = handler(&path, request.into_inner());
                async move { answers.map(Response::new) }
            });
            let codec = ProstCodec::<Msg, Msg>::default();
            let response = tonic::server::Grpc::new(codec)
                .streaming(call, request)
                .await;
            Ok::<_, Infallible>(response)
        }
    })
}

/// A client on one connection.
#[derive(Clone)]
pub(crate) struct Client(tonic::client::Grpc<Channel>);

impl Client {
    /// With the windows of the preset.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
        Self::with(Windows::default().endpoint(endpoint)).await
    }

    pub(crate) async fn with(endpoint: Endpoint) -> Self {
        Self(tonic::client::Grpc::new(endpoint.connect().await.unwrap()))
    }

    /// Calls with a stream of messages.
    pub(crate) async fn stream(
        &self,
        path: &'static str,
        messages: impl Stream<Item = Msg> + Send + 'static,
    ) -> Result<Streaming<Msg>, Status> {
        let mut grpc = self.0.clone();
        grpc.ready()
            .await
            .map_err(|e| Status::unknown(e.to_string()))?;
        let path = http::uri::PathAndQuery::from_static(path);
        let codec = ProstCodec::<Msg, Msg>::default();
        let response = grpc.streaming(Request::new(messages), path, codec).await;
        response.map(Response::into_inner)
    }

    /// Calls with one message.
    pub(crate) async fn call(&self, path: &'static str) -> Result<Streaming<Msg>, Status> {
        self.stream(path, stream::iter([small(0)])).await
    }
}

/// Reads the numbers of this many messages.
pub(crate) async fn read(answers: &mut Streaming<Msg>, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let next = in_time("a message", answers.message()).await;
        seqs.push(next.unwrap().expect("a message, not the end").seq);
    }
    seqs
}

/// Reads to the end: the numbers, and the status if it is not `OK`.
pub(crate) async fn read_all(answers: &mut Streaming<Msg>) -> (Vec<u64>, Option<Status>) {
    let mut seqs = Vec::new();
    loop {
        match in_time("a message or the end", answers.message()).await {
            Ok(Some(message)) => seqs.push(message.seq),
            Ok(None) => return (seqs, None),
            Err(status) => return (seqs, Some(status)),
        }
    }
}

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Waits for a condition in real time, because of the sockets.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    in_time(what, held).await;
}

/// Waits until a number has not changed for 200 ms, and returns it.
pub(crate) async fn settled(number: impl Fn() -> usize) -> usize {
    let mut before = usize::MAX;
    in_time("no change", async {
        while before != number() {
            before = number();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    before
}

/// A counter that is shared with streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Adds one, and returns the count.
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }

    /// Counts as long as it lives.
    pub(crate) fn hold(&self) -> Held {
        self.add();
        Held(self.clone())
    }

    /// Messages 0, 1, ... of 1 KiB, which are counted when they are taken.
    pub(crate) fn messages(&self, count: u64) -> impl Stream<Item = Msg> + Send + use<> {
        let taken = self.clone();
        stream::iter(0..count).map(move |seq| {
            taken.add();
            message(seq)
        })
    }
}

pub(crate) struct Held(Count);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}
