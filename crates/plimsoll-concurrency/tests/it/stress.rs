//! Many threads and tasks at once, cancelled at every stage.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    thread,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_concurrency::{ConcurrencyLimit, Order};
use plimsoll_core::{ByExtension, Criticality, Deadline, Deadlines, GateLayer, Missing, Priority};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

use crate::{Stage, Unpark, call, call_with, park, queued, ranked, woken};

type Body = Empty<bytes::Bytes>;

const ORDERS: [Order; 3] = [Order::Fifo, Order::Lifo, Order::AdaptiveLifo];

/// Counts the requests inside, and the most at any time.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Inside {
    fn enter(self: &Arc<Self>) -> Visit {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        Visit(Arc::clone(self))
    }
}

struct Visit(Arc<Inside>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

/// Threads use the policy directly. The longest wait is an hour, so only a wake-up ends a wait.
#[test]
fn threads_never_exceed_the_limit_and_no_wake_up_is_lost() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for seed in 0..8 {
        let limit = queued(2, 64);
        limit
            .handle()
            .set_queue(64, Duration::from_secs(3600))
            .unwrap();
        let inside = Arc::new(Inside::default());
        thread::scope(|scope| {
            for n in 0..4 {
                let (limit, inside, runtime) = (&limit, &inside, &runtime);
                scope.spawn(move || {
                    let _context = runtime.enter();
                    let mut random = fastrand::Rng::with_seed(seed * 100 + n);
                    let waker = Unpark::this();
                    for _ in 0..2_000 {
                        let mut call = call(limit);
                        let patience = random.u8(..8);
                        let mut polls = 0;
                        while let Stage::Waiting(_) = call.stage {
                            call.poll_with(&waker);
                            polls += 1;
                            if polls > patience || !matches!(call.stage, Stage::Waiting(_)) {
                                break;
                            }
                            if patience < 3 {
                                thread::yield_now(); // cancelled after a few polls
                            } else {
                                polls = 0;
                                park();
                            }
                        }
                        if let Stage::Running(..) = call.stage {
                            let visit = inside.enter();
                            if random.bool() {
                                thread::yield_now();
                            }
                            drop(visit);
                            if random.bool() {
                                call.finish();
                            }
                        }
                    }
                });
            }
        });
        let handle = limit.handle();
        assert!(inside.most.load(SeqCst) <= 2, "seed {seed}");
        assert_eq!((handle.in_flight(), handle.queued()), (0, 0), "seed {seed}");
        assert!(
            call(&limit).is_running(),
            "seed {seed}: a new request is admitted"
        );
    }
}

/// As above with priorities and a short queue, so that waiters are granted a slot, evicted and
/// cancelled at the same moment.
#[test]
fn threads_that_evict_each_other_are_all_answered_and_lose_no_slot() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut evicted = 0;
    for (seed, order) in (0..9).zip(ORDERS.into_iter().cycle()) {
        let limit = ranked(1, 2).order(order);
        let handle = limit.handle();
        handle.set_queue(2, Duration::from_secs(3600)).unwrap();
        let inside = Arc::new(Inside::default());
        let (served, rejected) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let left = AtomicUsize::new(0);
        thread::scope(|scope| {
            for n in 0..5 {
                let (limit, inside, runtime) = (&limit, &inside, &runtime);
                let (served, rejected, left) = (&served, &rejected, &left);
                scope.spawn(move || {
                    let _context = runtime.enter();
                    let mut random = fastrand::Rng::with_seed(seed * 100 + n);
                    let waker = Unpark::this();
                    for _ in 0..2_000 {
                        let criticality = Criticality::ALL[random.usize(..4)];
                        let mut call = call_with(limit, Priority::new(criticality));
                        let cancels = random.u8(..8) == 0;
                        while let Stage::Waiting(_) = call.stage {
                            call.poll_with(&waker);
                            if cancels || !matches!(call.stage, Stage::Waiting(_)) {
                                break;
                            }
                            park();
                        }
                        let count = match call.stage {
                            Stage::Running(..) => served,
                            Stage::Rejected(_) => rejected,
                            Stage::Waiting(_) | Stage::Over => left,
                        };
                        count.fetch_add(1, SeqCst);
                        if let Stage::Running(..) = call.stage {
                            let visit = inside.enter();
                            for _ in 0..random.u8(..8) {
                                thread::yield_now();
                            }
                            drop(visit);
                            call.finish();
                        }
                    }
                });
            }
        });
        assert_eq!(inside.most.load(SeqCst), 1, "seed {seed}");
        assert_eq!((handle.in_flight(), handle.queued()), (0, 0), "seed {seed}");
        let (rejected, left) = (rejected.load(SeqCst), left.load(SeqCst));
        assert_eq!(served.load(SeqCst) + rejected + left, 10_000);
        assert_eq!(
            (handle.evicted() + handle.rejected(), handle.abandoned()),
            (rejected as u64, left as u64),
            "seed {seed}: each is counted once"
        );
        evicted += handle.evicted();
        assert!(
            call(&limit).is_running(),
            "seed {seed}: a new request is admitted"
        );
    }
    assert!(evicted > 0, "no waiter was evicted");
}

/// Real tasks on several threads behind a real gate, cancelled before, during and after their wait,
/// while the limit moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_cancelled_at_every_stage_leave_nothing_behind() {
    for (seed, order) in (0..6).zip(ORDERS.into_iter().cycle()) {
        let policy = ConcurrencyLimit::new(3)
            .unwrap()
            .queue(16, Duration::from_millis(20))
            .unwrap()
            .order(order)
            .priorities(ByExtension)
            .deadlines(Deadlines::new())
            .service_time(Duration::from_micros(1500))
            .unwrap()
            .controlled_delay(Duration::from_millis(2), Duration::from_millis(5))
            .unwrap();
        let handle = policy.handle();
        let inside = Arc::new(Inside::default());
        let layer = GateLayer::new(policy);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..600 {
            let service = visited(&layer, &inside);
            let random = fastrand::Rng::with_seed(seed * 10_000 + n);
            tasks.spawn(one_call(service, random));
            if n % 50 == 0 {
                handle.set_limit(1 + (n as usize / 50) % 3).unwrap();
                tokio::task::yield_now().await;
            }
        }
        while let Some(ended) = woken(tasks.join_next()).await {
            ended.unwrap();
        }
        assert!(inside.most.load(SeqCst) <= 3, "seed {seed}");
        assert_eq!(inside.now.load(SeqCst), 0, "seed {seed}");
        assert_eq!((handle.in_flight(), handle.queued()), (0, 0), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cells_of_many_keys_are_empty_in_the_end() {
    let each = ConcurrencyLimit::new(2)
        .unwrap()
        .reject_as_over_quota()
        .queue(4, Duration::from_millis(5))
        .unwrap();
    let keyed = each
        .per_key(
            |req: &Request<Body>| req.extensions().get::<u8>().copied(),
            Missing::Share,
            512,
        )
        .unwrap();
    let table = keyed.handle();
    let inside = Arc::new(Inside::default());
    let layer = GateLayer::new(keyed);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        tasks.spawn(one_call(
            visited(&layer, &inside),
            fastrand::Rng::with_seed(n),
        ));
    }
    while let Some(ended) = woken(tasks.join_next()).await {
        ended.unwrap();
    }
    assert!(inside.most.load(SeqCst) <= 2 * 16, "16 keys, two each");
    assert!(table.keys() <= 16);
    for key in 0..16_u8 {
        // If a cell had kept a slot, the second of these would be rejected.
        let held: Vec<_> = (0..2)
            .map(|_| visited(&layer, &inside).oneshot(request(key, 0)))
            .collect();
        for held in held {
            assert_eq!(woken(held).await.unwrap().status(), StatusCode::OK);
        }
    }
}

fn request(key: u8, micros: u64) -> Request<Body> {
    let mut req = Request::new(Body::new());
    req.extensions_mut().insert(key);
    req.extensions_mut().insert(Duration::from_micros(micros));
    let criticality = Criticality::ALL[usize::from(key % 4)];
    req.extensions_mut().insert(Priority::new(criticality));
    if key % 3 == 0 {
        let deadline = Instant::now() + Duration::from_millis(key.into());
        req.extensions_mut().insert(Deadline(deadline));
    }
    req
}

fn visited<P>(
    layer: &GateLayer<P>,
    inside: &Arc<Inside>,
) -> impl tower::Service<
    Request<Body>,
    Response = Response<impl Send + use<P>>,
    Error = Infallible,
    Future: Send,
> + Send
+ use<P>
where
    P: plimsoll_core::Policy<Request<Body>, Wait: Send> + 'static,
{
    let inside = Arc::clone(inside);
    layer.layer(service_fn(move |req: Request<Body>| {
        let inside = Arc::clone(&inside);
        async move {
            let visit = inside.enter();
            let work = req
                .extensions()
                .get::<Duration>()
                .copied()
                .unwrap_or_default();
            tokio::time::sleep(work).await;
            drop(visit);
            Ok::<_, Infallible>(Response::new(Body::new()))
        }
    }))
}

/// Calls, and in some cases cancels: at once, after one poll, or after some time.
async fn one_call<S, B>(service: S, mut random: fastrand::Rng)
where
    S: tower::Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let call = service.oneshot(request(random.u8(..16), random.u64(..1500)));
    match random.u8(..6) {
        0 => drop(call),
        1 => {
            let mut call = Box::pin(call);
            poll_fn(|cx| {
                _ = call.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        2 => {
            let patience = Duration::from_micros(random.u64(..8_000));
            _ = tokio::time::timeout(patience, call).await;
        }
        _ => {
            let Ok(response) = call.await;
            assert!(
                matches!(
                    response.status(),
                    StatusCode::OK
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::GATEWAY_TIMEOUT
                ),
                "{}",
                response.status()
            );
        }
    }
}
