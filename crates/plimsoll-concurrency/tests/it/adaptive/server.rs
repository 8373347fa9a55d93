//! A service with so many workers behind a real gate, and requests that come at random, on the paused clock.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{Gate, GateLayer, Http, Policy};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower::{Layer, Service as _, service_fn, util::BoxCloneSyncService};

pub(super) type Body = Full<bytes::Bytes>;
type Inner = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Mean time of a worker for a call: 10 to 30 milliseconds, whole ones, as the clock has no others.
const MEAN: f64 = 0.020;

/// What the service does meanwhile, and what it did.
pub(super) struct Service {
    workers: Semaphore,
    stalled_until: Mutex<Option<Instant>>,
    /// Answers with this.
    status: Mutex<StatusCode>,
    answered: AtomicU64,
    draw: Mutex<fastrand::Rng>,
}

impl Service {
    async fn work(&self) -> StatusCode {
        let millis = self.draw.lock().unwrap().u64(10..=30);
        let Ok(_worker) = self.workers.acquire().await else {
            return StatusCode::INTERNAL_SERVER_ERROR;
        };
        let stall = *self.stalled_until.lock().unwrap();
        if let Some(until) = stall {
            sleep_until(until).await;
        }
        sleep(Duration::from_millis(millis)).await;
        let status = *self.status.lock().unwrap();
        if status == StatusCode::OK {
            self.answered.fetch_add(1, Relaxed);
        }
        status
    }

    pub(super) fn stall(&self, time: Duration) {
        *self.stalled_until.lock().unwrap() = Some(Instant::now() + time);
    }

    pub(super) fn answers_with(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    /// As soon as they are free.
    pub(super) fn lose(self: &Arc<Self>, workers: u32) {
        let service = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(lost) = service.workers.acquire_many(workers).await {
                lost.forget();
            }
        });
    }

    pub(super) fn gain(&self, workers: usize) {
        self.workers.add_permits(workers);
    }

    fn take_answered(&self) -> u64 {
        self.answered.swap(0, Relaxed)
    }
}

/// The service, its gate, and who asks it.
pub(super) struct Lab<P> {
    pub(super) service: Arc<Service>,
    pub(super) handle: ConcurrencyLimitHandle,
    gate: Gate<Inner, P, Http>,
    draw: fastrand::Rng,
    /// Callers that have not left yet.
    calls: JoinSet<()>,
    /// After which they leave.
    pub(super) patience: Option<Duration>,
}

impl Lab<ConcurrencyLimit> {
    pub(super) fn adaptive(workers: usize) -> Self {
        fastrand::seed(1); // the intervals between dips are drawn
        let limit = ConcurrencyLimit::adaptive();
        let handle = limit.handle();
        Self::new(workers, limit, handle)
    }
}

impl<P> Lab<P>
where
    P: Policy<Request<Body>, Permit: Send, Wait: Send> + 'static,
{
    pub(super) fn new(workers: usize, policy: P, handle: ConcurrencyLimitHandle) -> Self {
        let service = Arc::new(Service {
            workers: Semaphore::new(workers),
            stalled_until: Mutex::default(),
            status: Mutex::new(StatusCode::OK),
            answered: AtomicU64::new(0),
            draw: Mutex::new(fastrand::Rng::with_seed(workers as u64)),
        });
        let inner = {
            let service = Arc::clone(&service);
            service_fn(move |_: Request<Body>| {
                let service = Arc::clone(&service);
                async move {
                    let mut response = Response::new(Body::default());
                    *response.status_mut() = service.work().await;
                    Ok::<_, Infallible>(response)
                }
            })
        };
        Self {
            service,
            handle,
            gate: GateLayer::new(policy).layer(BoxCloneSyncService::new(inner)),
            draw: fastrand::Rng::with_seed(1),
            calls: JoinSet::new(),
            patience: None,
        }
    }

    /// The guarded service.
    pub(super) fn gate(&self) -> Gate<Inner, P, Http> {
        self.gate.clone()
    }

    /// Requests come at random for this time, so many that they would keep `demand` workers busy. Answers with the workers'
    /// worth of what was answered.
    pub(super) async fn run(&mut self, demand: f64, time: Duration) -> f64 {
        self.service.take_answered();
        let (began, mut at) = (Instant::now(), Instant::now());
        loop {
            at += Duration::from_secs_f64(-MEAN / demand * (1.0 - self.draw.f64()).ln());
            if at > began + time {
                break;
            }
            sleep_until(at).await;
            self.ask();
        }
        sleep_until(began + time).await;
        while self.calls.try_join_next().is_some() {}
        self.service.take_answered() as f64 * MEAN / time.as_secs_f64()
    }

    /// Comes with a request, and stays for the answer if it is not refused at once.
    fn ask(&mut self) {
        let mut gate = self.gate.clone();
        assert!(
            gate.poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop()))
                .is_ready()
        );
        let mut call = Box::pin(gate.call(Request::new(Body::default())));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(response) = call.as_mut().poll(&mut cx) {
            drop(response);
            return;
        }
        let patience = self.patience;
        self.calls.spawn(async move {
            let ended = match patience {
                None => Some(call.await),
                Some(patience) => tokio::time::timeout(patience, call).await.ok(),
            };
            drop(ended);
        });
    }

    /// All callers have been answered or have left.
    pub(super) async fn rest(&mut self) {
        while self.calls.join_next().await.is_some() {}
    }
}
