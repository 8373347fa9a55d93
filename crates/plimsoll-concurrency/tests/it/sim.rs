//! Simulated load on a service with calls of 20 milliseconds, through real gates on the paused
//! clock.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_core::{GateLayer, Policy};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

pub(crate) type Body = Full<bytes::Bytes>;
pub(crate) type Service = BoxCloneSyncService<Request<Body>, StatusCode, Infallible>;

const SERVICE_TIME: Duration = Duration::from_millis(20);

/// Less than the 100 slots: on a millisecond clock calls of 20 ms take half a millisecond more.
pub(crate) const CAPACITY: f64 = 97.7;
pub(crate) const TIME: Duration = Duration::from_secs(3);

/// A service behind this policy, which finds the number of the key in the extensions.
pub(crate) fn service<P>(policy: P, seed: u64) -> Service
where
    P: Policy<Request<Body>, Permit: Send, Wait: Send> + 'static,
{
    fastrand::seed(seed); // for random choices of the policy, such as cohorts
    let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
    let inner = service_fn(move |_: Request<Body>| {
        let part = 0.5 + random.lock().unwrap().f64();
        async move {
            sleep(SERVICE_TIME.mul_f64(part)).await;
            Ok::<_, Infallible>(Response::new(Body::default()))
        }
    });
    let gate = GateLayer::new(policy).layer(inner);
    BoxCloneSyncService::new(gate.map_response(|response| response.status()))
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) answered: AtomicU64,
    pub(crate) rejected: AtomicU64,
}

impl Tally {
    /// The mean number in flight over `time`.
    pub(crate) fn in_flight(&self, time: Duration) -> f64 {
        self.answered.load(Relaxed) as f64 * SERVICE_TIME.as_secs_f64() / time.as_secs_f64()
    }
}

async fn one(service: &Service, key: usize, tally: &Tally, counts: bool) -> bool {
    let mut req = Request::new(Body::default());
    req.extensions_mut().insert(key);
    let answered = service.clone().oneshot(req).await == Ok(StatusCode::OK);
    if counts {
        let count = if answered {
            &tally.answered
        } else {
            &tally.rejected
        };
        count.fetch_add(1, Relaxed);
    }
    answered
}

/// The load of one key: a number of clients, each of which sends its next request after a response,
/// or a moment after a rejection; or random arrivals, with this mean number in flight if all were
/// admitted.
#[derive(Clone, Copy)]
pub(crate) enum Demand {
    Clients(usize),
    Open(f64),
}

/// Runs the load for a second without counting, and then for `time`.
pub(crate) async fn run(service: &Service, demands: &[Demand], time: Duration) -> Vec<Arc<Tally>> {
    let from = Instant::now() + Duration::from_secs(1);
    let until = from + time;
    let tallies: Vec<_> = demands.iter().map(|_| Arc::<Tally>::default()).collect();
    let mut tasks = JoinSet::new();
    for (key, &demand) in demands.iter().enumerate() {
        let Demand::Clients(clients) = demand else {
            continue;
        };
        for client in 0..clients {
            let (service, tally) = (service.clone(), Arc::clone(&tallies[key]));
            let mut random = fastrand::Rng::with_seed((key * 1000 + client) as u64);
            tasks.spawn(async move {
                while Instant::now() < until {
                    let counts = Instant::now() >= from;
                    if !one(&service, key, &tally, counts).await {
                        sleep(Duration::from_millis(random.u64(10..40))).await;
                    }
                }
            });
        }
    }
    arrivals(service, demands, &tallies, from, until).await;
    tasks.join_all().await;
    tallies
}

/// All random arrivals in one stream, so that no key is always the first of a millisecond.
async fn arrivals(
    service: &Service,
    demands: &[Demand],
    tallies: &[Arc<Tally>],
    from: Instant,
    until: Instant,
) {
    let of = |demand: &Demand| match *demand {
        Demand::Open(in_flight) => in_flight,
        Demand::Clients(_) => 0.0,
    };
    let all: f64 = demands.iter().map(of).sum();
    let mean = SERVICE_TIME.as_secs_f64() / all;
    let mut random = fastrand::Rng::with_seed(1);
    let (mut calls, mut at) = (JoinSet::new(), Instant::now());
    while all > 0.0 && at < until {
        at += Duration::from_secs_f64(-mean * (1.0 - random.f64()).ln());
        sleep_until(at).await;
        let mut left = random.f64() * all;
        let key = demands.iter().position(|demand| {
            left -= of(demand);
            left < 0.0
        });
        let key = key.unwrap_or(0);
        let (service, tally) = (service.clone(), Arc::clone(&tallies[key]));
        calls.spawn(async move {
            one(&service, key, &tally, at >= from).await;
        });
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
}
