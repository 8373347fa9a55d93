//! The examples of `docs/shedding.md`, copied verbatim, and the claims of the page.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{
    ByExtension, ByHeader, ClientIp, Criticality, Deadlines, GateLayer, Policy, Priority, When,
    key::PeerAddr, wire,
};
use plimsoll_load_shed::{AdaptiveShed, LoadShed, QueueDelay, except_paths};
use tokio::{
    sync::Semaphore,
    time::{Instant, interval, sleep},
};
use tower::{Layer as _, ServiceExt as _};

use crate::within_a_minute;

type Body = Empty<bytes::Bytes>;

/// Workers of the service.
const WORKERS: usize = 10;
/// Mean run time of a request, in milliseconds.
const MEAN: u64 = 20;
/// Capacity in requests per second.
const CAPACITY: f64 = WORKERS as f64 * 1000.0 / MEAN as f64;
const DEADLINE: Duration = Duration::from_millis(200);
/// Seconds of load.
const LOAD: u64 = 20;
/// Seconds at the start in which the threshold is still adapting.
const FINDING: u64 = 5;

/// A service with an unbounded queue, which records its delays in `delay` if given.
async fn serve(workers: &Semaphore, delay: Option<&QueueDelay>, uri: &http::Uri) -> Response<Body> {
    if uri.path() != "/healthz" {
        let arrived = Instant::now();
        let worker = workers.acquire().await.unwrap();
        let waited = arrived.elapsed();
        // As in the guide: when a request leaves the queue ...
        if let Some(delay) = delay {
            delay.record(waited, Instant::now());
        }
        let began = Instant::now();
        sleep(Duration::from_millis(fastrand::u64(
            MEAN / 2..=MEAN * 3 / 2,
        )))
        .await;
        // ... and when it has ended.
        if let Some(delay) = delay {
            delay.record_run(began.elapsed());
        }
        drop(worker);
    }
    Response::new(Body::new())
}

/// Requests answered within the deadline.
#[derive(Debug)]
struct Goodput {
    /// Over the capacity.
    total: f64,
    /// Over the offered requests of high priority, a tenth of all.
    high: f64,
    /// Over the offered health checks, one per 20 ms.
    health: f64,
}

/// Offers twice the capacity to the service behind `policy`.
async fn at_twice_the_capacity(
    policy: impl Policy<Request<Body>> + 'static,
    delay: Option<QueueDelay>,
) -> Goodput {
    fastrand::seed(11);
    let workers = Arc::new(Semaphore::new(WORKERS));
    let gate = GateLayer::new(policy).layer(tower::service_fn(move |req: Request<Body>| {
        let (workers, delay) = (Arc::clone(&workers), delay.clone());
        async move { Ok::<_, Infallible>(serve(&workers, delay.as_ref(), req.uri()).await) }
    }));
    let mut ticks = interval(Duration::from_millis(1));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..LOAD * 1000 {
        ticks.tick().await;
        let mut calls = vec![("/orders", n % 10 == 0)];
        calls.extend((n % 20 == 0).then_some(("/healthz", false)));
        for (path, high) in calls {
            let criticality = if high { "CRITICAL_PLUS" } else { "SHEDDABLE" };
            let req = Request::get(path)
                .header(wire::CRITICALITY, criticality)
                .extension(PeerAddr(([192, 0, 2, fastrand::u8(..)], 1).into()))
                .body(Body::new());
            let gate = gate.clone();
            tasks.spawn(async move {
                let began = Instant::now();
                let answer = gate.oneshot(req.unwrap()).await.unwrap();
                let in_time = answer.status() == StatusCode::OK && began.elapsed() <= DEADLINE;
                (n, path, high, in_time)
            });
        }
    }
    let ends = within_a_minute(tasks.join_all()).await;
    let held = ends.iter().filter(|(n, ..)| *n >= FINDING * 1000);
    let count = |wanted: &dyn Fn(&str, bool) -> bool| {
        let of = held
            .clone()
            .filter(|(_, path, high, _)| wanted(path, *high));
        let in_time = of.clone().filter(|(.., in_time)| *in_time).count() as f64;
        (in_time, in_time / of.count() as f64)
    };
    let seconds = (LOAD - FINDING) as f64;
    Goodput {
        total: count(&|path, _| path == "/orders").0 / seconds / CAPACITY,
        high: count(&|path, high| high && path == "/orders").1,
        health: count(&|path, _| path == "/healthz").1,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_recipe_keeps_goodput_at_twice_the_capacity() {
    let delay = QueueDelay::relative();
    let shed = AdaptiveShed::new(delay.clone()).announce_threshold();
    let handle = shed.handle();
    let stack = (
        Deadlines::propagated(),
        ByHeader::untrusted(ClientIp::peer()),
        delay,
        When::new(except_paths(["/healthz", "/metrics"]), shed),
        ConcurrencyLimit::adaptive().priorities(ByExtension),
    );
    let goodput = at_twice_the_capacity(stack, None).await;
    assert!(goodput.total >= 0.95, "{goodput:?}");
    assert!(goodput.high >= 0.99, "{goodput:?}");
    assert!(handle.shed(Criticality::Sheddable) > 0 || handle.threshold() == 0);
}

#[tokio::test(start_paused = true)]
async fn the_recipe_for_an_internal_queue_keeps_goodput() {
    let delay = QueueDelay::relative();
    let shed = AdaptiveShed::new(delay.clone()).announce_threshold();
    let handle = shed.handle();
    let stack = (
        Deadlines::propagated(),
        ByHeader::untrusted(ClientIp::peer()),
        When::new(except_paths(["/healthz", "/metrics"]), shed),
    );
    let goodput = at_twice_the_capacity(stack, Some(delay)).await;
    assert!(goodput.total >= 0.95, "{goodput:?}");
    assert!(goodput.high >= 0.99, "{goodput:?}");
    assert!(goodput.health == 1.0, "{goodput:?}");
    assert!(handle.threshold() > 0);
}

#[tokio::test(start_paused = true)]
async fn all_services_shed_the_same_users_and_others_in_the_next_hour() {
    let shed = || LoadShed::new(|| 0.925); // half of CRITICAL
    let (here, there) = (shed(), shed());
    let served = |shed: &LoadShed<_>, user: &str, hour: u64| {
        let mut req = Request::new(());
        let priority = Priority::new(Criticality::Critical).cohort_of(user, hour);
        req.extensions_mut().insert(priority);
        let verdict = shed.admit(&mut req, Instant::now());
        matches!(verdict, plimsoll_core::policy::Verdict::Admit(_))
    };
    let mut moved = 0;
    for n in 0..200 {
        let user = format!("u-{n}");
        let first = served(&here, &user, 490_000);
        assert!((0..4).all(|_| served(&there, &user, 490_000) == first));
        moved += usize::from(served(&here, &user, 490_001) != first);
    }
    assert!(
        (60..140).contains(&moved),
        "{moved} of 200 have another decision"
    );
}
