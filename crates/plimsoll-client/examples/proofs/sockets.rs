//! 200 clients with the recommended stack, which offer five times what a server can do, over sockets:
//! axum behind our gate, then tonic.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use plimsoll_client::{AdaptiveThrottle, Downstream};
use plimsoll_client::{ClientStack, ClientStackLayer, RetryHint, RetryLayer};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{Deadline, Deadlines, GateLayer};
use tokio::{net::TcpListener, time::Instant};
use tonic::{
    body::Body,
    client::Grpc as GrpcClient,
    codegen::{BoxFuture, http::uri::PathAndQuery},
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::{Layer as _, Service, ServiceExt, util::MapRequestLayer};

const CLIENTS: u32 = 200;
/// Requests per second of each client: together five times the capacity.
const PER_CLIENT: f64 = 5.0;
const SLOTS: usize = 40;
const WORK: Duration = Duration::from_millis(200);
const CAPACITY: f64 = 200.0;
const DEADLINE: Duration = Duration::from_secs(4);
const SECONDS: u64 = 20;
/// Nothing is measured before all clients have met the overload.
const WARM_UP: Duration = Duration::from_secs(8);

/// What the clients see, after the warm-up.
#[derive(Debug, Default)]
struct Storm {
    requests: AtomicU64,
    answered: AtomicU64,
    /// Calls that ended without an answer, although the wait that they were asked for would have fitted
    /// the deadline.
    gave_up: AtomicU64,
    /// Attempts that the server received.
    attempts: AtomicU64,
}

type Policies = (Downstream, AdaptiveThrottle, (), ());

/// The stack of one client: each has its own throttle and budget.
fn stack() -> ClientStackLayer<Policies, tower::layer::util::Identity> {
    let retry = RetryLayer::builder().grpc_unary(1024).build();
    ClientStack::new(retry.expect("settings in bounds"))
        .propagate(Downstream::new())
        .throttle(AdaptiveThrottle::new())
        .build()
}

/// The gate of the server: a fixed limit, and a queue for a quarter of a second.
fn gate() -> GateLayer<(Deadlines, ConcurrencyLimit)> {
    let limit = ConcurrencyLimit::new(SLOTS).expect("a limit within bounds");
    let limit = limit
        .queue(SLOTS, Duration::from_millis(250))
        .expect("a queue within bounds");
    GateLayer::new((Deadlines::propagated(), limit))
}

/// Runs all clients. `client` makes one; its calls return the hint of their last answer when they fail.
async fn storm<C, F>(storm: Arc<Storm>, start: Instant, client: impl Fn() -> C)
where
    C: Fn(Deadline) -> F + Send + 'static,
    F: Future<Output = Result<(), RetryHint>> + Send + 'static,
{
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(one(Arc::clone(&storm), start, client())))
        .collect();
    for client in clients {
        _ = client.await;
    }
}

async fn one<C, F>(storm: Arc<Storm>, start: Instant, client: C)
where
    C: Fn(Deadline) -> F,
    F: Future<Output = Result<(), RetryHint>> + Send + 'static,
{
    let mut calls = tokio::task::JoinSet::new();
    while start.elapsed() < Duration::from_secs(SECONDS) {
        let gap = -(1.0 - fastrand::f64()).ln() / PER_CLIENT;
        tokio::time::sleep(Duration::from_secs_f64(gap)).await;
        let now = Instant::now();
        let deadline = Deadline(now + DEADLINE);
        let is_counted = start.elapsed() >= WARM_UP;
        if is_counted {
            storm.requests.fetch_add(1, Relaxed);
        }
        let (storm, call) = (Arc::clone(&storm), client(deadline));
        calls.spawn(async move {
            let result = call.await;
            let left = deadline.remaining(Instant::now());
            // An attempt needs the time of the work, and the network.
            let fits = |wait: Duration| wait + 2 * WORK < left;
            let ended = start.elapsed();
            match result {
                Ok(()) if ended >= WARM_UP && ended < Duration::from_secs(SECONDS) => {
                    storm.answered.fetch_add(1, Relaxed);
                }
                Err(RetryHint::AtLeast(wait) | RetryHint::Exactly(wait)) if fits(wait) => {
                    storm.gave_up.fetch_add(1, Relaxed);
                }
                Err(RetryHint::None) if fits(Duration::ZERO) => {
                    storm.gave_up.fetch_add(1, Relaxed);
                }
                _ => {}
            }
        });
    }
    while calls.join_next().await.is_some() {}
}

/// Counts what arrives at the server, from the warm-up to the last request.
fn counted<R>(
    storm: &Arc<Storm>,
    start: Instant,
) -> MapRequestLayer<impl Fn(R) -> R + Clone + use<R>> {
    let storm = Arc::clone(storm);
    MapRequestLayer::new(move |req| {
        let at = start.elapsed();
        if at >= WARM_UP && at < Duration::from_secs(SECONDS) {
            storm.attempts.fetch_add(1, Relaxed);
        }
        req
    })
}

async fn http() -> Arc<Storm> {
    let (results, start) = (Arc::new(Storm::default()), Instant::now());
    let app = axum::Router::new()
        .route(
            "/",
            axum::routing::get(async || tokio::time::sleep(WORK).await),
        )
        .layer(gate())
        .layer(counted(&results, start));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    storm(Arc::clone(&results), start, || {
        let client = stack().layer(Client::builder(TokioExecutor::new()).build_http());
        let url = url.clone();
        move |deadline| {
            let mut request = Request::get(&url)
                .body(Empty::<Bytes>::new())
                .expect("a request");
            request.extensions_mut().insert(deadline);
            let call = client.clone().oneshot(request);
            async move {
                let answer = call.await.map_err(|_| RetryHint::Never)?;
                if answer.status().is_success() {
                    return Ok(());
                }
                Err(RetryHint::http(answer.headers(), Duration::from_secs(60)))
            }
        }
    })
    .await;
    results
}

#[derive(Clone)]
struct Work;

impl NamedService for Work {
    const NAME: &'static str = "proofs.Work";
}

impl UnaryService<String> for Work {
    type Response = String;
    type Future = BoxFuture<tonic::Response<String>, tonic::Status>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        Box::pin(async {
            tokio::time::sleep(WORK).await;
            Ok(tonic::Response::new(request.into_inner()))
        })
    }
}

impl Service<Request<Body>> for Work {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Body>) -> Self::Future {
        Box::pin(async { Ok(Grpc::new(ProstCodec::default()).unary(Work, req).await) })
    }
}

async fn grpc() -> Arc<Storm> {
    let (results, start) = (Arc::new(Storm::default()), Instant::now());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = Server::builder()
        .layer(counted(&results, start))
        .layer(gate())
        .add_service(Work);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
    storm(Arc::clone(&results), start, || {
        let channel = endpoint.connect_lazy();
        let channel =
            ServiceExt::<Request<Body>>::map_request(channel, |req: Request<_>| req.map(Body::new));
        let client = GrpcClient::new(stack().layer(channel));
        move |deadline: Deadline| {
            let mut client = client.clone();
            async move {
                let failed = |_| RetryHint::Never;
                client.ready().await.map_err(failed)?;
                let mut request = tonic::Request::new("x".to_owned());
                request.extensions_mut().insert(deadline);
                let path = PathAndQuery::from_static("/proofs.Work/Work");
                let codec = ProstCodec::<String, String>::default();
                let answer = client.unary(request, path, codec).await;
                match answer {
                    Ok(_) => Ok(()),
                    // Ended by its own deadline.
                    Err(status) if status.code() != tonic::Code::Unavailable => {
                        Err(RetryHint::Never)
                    }
                    Err(status) => {
                        let metadata = status.metadata().clone().into_headers();
                        Err(RetryHint::grpc(&metadata, Duration::from_secs(60)))
                    }
                }
            }
        }
    })
    .await;
    results
}

pub(crate) fn print() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!(
        "sockets: {CLIENTS} clients offer {} requests/s to a server for {CAPACITY}/s, deadline {DEADLINE:?}",
        f64::from(CLIENTS) * PER_CLIENT
    );
    println!(
        "{:<12}{:>22}{:>16}{:>24}",
        "", "goodput/capacity", "amplification", "gave up in time"
    );
    let seconds = (SECONDS - WARM_UP.as_secs()) as f64;
    for name in ["axum", "tonic"] {
        let storm = match name {
            "axum" => runtime.block_on(http()),
            _ => runtime.block_on(grpc()),
        };
        let [requests, answered, gave_up, attempts] = [
            &storm.requests,
            &storm.answered,
            &storm.gave_up,
            &storm.attempts,
        ]
        .map(|n| n.load(Relaxed));
        println!(
            "{name:<12}{:>22.3}{:>16.3}{gave_up:>24}",
            answered as f64 / seconds / CAPACITY,
            attempts as f64 / requests as f64,
        );
    }
}
