//! A limit in front of another gate, and callers that read only the status.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{Class, GateLayer, HeaderKey, Missing, Outcome, Policy, policy::Verdict};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, advance, sleep, sleep_until},
};
use tower::{Layer, ServiceExt as _, service_fn, util::BoxCloneSyncService};

use crate::{MS, call, with_deadlines};

type Body = Full<bytes::Bytes>;
type Service = BoxCloneSyncService<Request<Body>, StatusCode, Infallible>;

const SECOND: Duration = Duration::from_secs(1);
const WORKERS: usize = 50;
const SERVICE_TIME: Duration = Duration::from_millis(20);

/// 50 workers with calls of 20 milliseconds behind `inner` and `outer`. Callers drop the body
/// unread.
fn stack<I>(outer: ConcurrencyLimit, inner: I) -> Service
where
    I: Policy<Request<Body>, Permit: Send, Wait: Send> + 'static,
{
    let workers = Arc::new(Semaphore::new(WORKERS));
    let service = service_fn(move |_: Request<Body>| {
        let workers = Arc::clone(&workers);
        async move {
            let _worker = workers.acquire().await;
            sleep(SERVICE_TIME).await;
            Ok::<_, Infallible>(Response::new(Body::from("hello")))
        }
    });
    let service = GateLayer::new(inner).layer(BoxCloneSyncService::new(service));
    let service = GateLayer::new(outer).layer(service);
    BoxCloneSyncService::new(service.map_response(|response| response.status()))
}

/// Responses of one kind of caller, by status.
#[derive(Default)]
struct Tally {
    ok: AtomicU64,
    other: AtomicU64,
}

impl Tally {
    fn rejected(&self) -> f64 {
        let (ok, other) = (
            self.ok.load(Relaxed) as f64,
            self.other.load(Relaxed) as f64,
        );
        other / (ok + other)
    }
}

/// The load of one caller, or of `names` callers in turn.
struct Caller {
    names: u64,
    per_second: f64,
    tally: Arc<Tally>,
}

impl Caller {
    fn new(names: u64, per_second: f64) -> Self {
        Self {
            names,
            per_second,
            tally: Arc::default(),
        }
    }
}

/// Random arrivals of all callers for this time.
async fn run(service: &Service, callers: &[Caller], time: Duration) {
    let (mut random, mut tasks) = (fastrand::Rng::with_seed(1), JoinSet::new());
    let all: f64 = callers.iter().map(|caller| caller.per_second).sum();
    let (began, mut at) = (Instant::now(), Instant::now());
    while at < began + time {
        at += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / all);
        sleep_until(at).await;
        let mut left = random.f64() * all;
        let chosen = callers.iter().enumerate().find(|(_, caller)| {
            left -= caller.per_second;
            left < 0.0
        });
        let Some((kind, caller)) = chosen else {
            continue;
        };
        let name = format!("{kind}-{}", random.u64(0..caller.names));
        let req = Request::get("/").header("x-caller", name);
        let call = service.clone().oneshot(req.body(Body::default()).unwrap());
        let tally = Arc::clone(&caller.tally);
        tasks.spawn(async move {
            let count = match call.await.unwrap() {
                StatusCode::OK => &tally.ok,
                _ => &tally.other,
            };
            count.fetch_add(1, Relaxed);
        });
        while tasks.try_join_next().is_some() {}
    }
    tasks.join_all().await;
}

fn adaptive() -> (ConcurrencyLimit, ConcurrencyLimitHandle) {
    fastrand::seed(1); // the intervals between probes are random
    let limit = ConcurrencyLimit::adaptive();
    let handle = limit.handle();
    (limit, handle)
}

/// Four requests at a time for each caller.
fn reject_as_over_quota() -> impl Policy<Request<Body>, Permit: Send, Wait: Send> {
    let four = ConcurrencyLimit::new(4).unwrap().reject_as_over_quota();
    let caller = HeaderKey::from_static("x-caller");
    four.per_key(caller, Missing::Share, 1_000).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_an_inner_gate_rejects_takes_nothing_from_the_others() {
    let (outer, handle) = adaptive();
    let service = stack(outer, reject_as_over_quota());
    let callers = [Caller::new(100, 500.0), Caller::new(1, 2000.0)];
    run(&service, &callers, 4 * SECOND).await;
    let [others, greedy] = callers;
    let (rejected, limit) = (others.tally.rejected(), handle.limit());
    assert!(greedy.tally.rejected() > 0.85, "the inner gate rejects");
    assert!(
        rejected < 0.005 && limit >= 10,
        "{rejected} of the others are rejected, limit {limit}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_inner_gate_does_not_lower_the_outer_limit() {
    let (outer, handle) = adaptive();
    let service = stack(outer, ConcurrencyLimit::new(10).unwrap());
    let callers = [Caller::new(100, 1500.0)];
    run(&service, &callers, 4 * SECOND).await;
    // Two thirds are rejected with 503.
    let (rejected, limit) = (callers[0].tally.rejected(), handle.limit());
    assert!((0.6..0.75).contains(&rejected), "{rejected}");
    assert!(limit >= 10, "{limit}");
    // The outer limit rejects some at the start, when both limits are ten.
    let by_the_outer = handle.rejected() + handle.timed_out();
    assert!(by_the_outer < 60, "{by_the_outer} of 6,000");
}

#[tokio::test(start_paused = true)]
async fn callers_that_drop_the_body_do_not_lower_the_limit() {
    for load in [0.9, 2.0] {
        let (outer, handle) = adaptive();
        let service = stack(outer, ());
        let callers = [Caller::new(100, load * 2500.0)];
        run(&service, &callers, 2 * SECOND).await;
        callers[0].tally.ok.store(0, Relaxed);
        run(&service, &callers, 2 * SECOND).await;
        let done = callers[0].tally.ok.load(Relaxed) as f64 / 5000.0;
        let limit = handle.limit();
        assert!(
            done > 0.95 * load.min(1.0),
            "{done} at {load}: limit {limit}"
        );
        assert!(limit >= 40, "{limit} at {load}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_an_inner_gate_rejected_does_not_shorten_the_hint() {
    let limit = with_deadlines(ConcurrencyLimit::new(1).unwrap());
    let running = call(&limit);
    advance(320 * MS).await;
    running.finish();
    for _ in 0..100 {
        let Verdict::Admit(permit) = limit.admit(&mut crate::Req::default(), Instant::now()) else {
            panic!("the slot is free");
        };
        let outcome = Outcome::new(Class::Rejected, Duration::ZERO, Instant::now());
        Policy::<crate::Req>::finish(&limit, permit, &outcome);
    }
    let _running = call(&limit);
    assert_eq!(
        call(&limit).rejection().unwrap().retry_after(),
        Some(320 * MS)
    );
}

/// A caller with too many requests and another caller, over real sockets.
#[cfg(not(loom))]
#[tokio::test]
async fn over_sockets_a_rejected_caller_does_not_change_the_outer_limit() {
    use axum::{Router, routing::get};

    let (outer, handle) = adaptive();
    let one = ConcurrencyLimit::new(1).unwrap().reject_as_over_quota();
    let key = HeaderKey::from_static("x-caller");
    let inner = one.per_key(key, Missing::Share, 1_000).unwrap();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/hang", get(std::future::pending::<&str>))
        .layer(GateLayer::new(inner))
        .layer(GateLayer::new(outer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let _hangs = send(addr, "/hang", "greedy").await;
    crate::listener::until("its slot is taken", || handle.in_flight() == 1).await;
    for _ in 0..300 {
        assert_eq!(status(addr, "greedy").await, "429");
    }
    assert!(handle.limit() >= 10, "{}", handle.limit());
    assert_eq!(handle.rejected(), 0);
    assert_eq!(status(addr, "other").await, "200");
    server.abort();
}

#[cfg(not(loom))]
async fn send(addr: std::net::SocketAddr, path: &str, caller: &str) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt as _;

    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-caller: {caller}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Reads a response to its end and returns its status.
#[cfg(not(loom))]
async fn status(addr: std::net::SocketAddr, caller: &str) -> String {
    use tokio::io::AsyncReadExt as _;

    let mut answer = String::new();
    let mut socket = send(addr, "/", caller).await;
    let read = crate::woken(socket.read_to_string(&mut answer));
    read.await.unwrap();
    answer[9..12].to_owned()
}
