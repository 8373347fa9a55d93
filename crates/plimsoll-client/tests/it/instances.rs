//! A client of ten instances behind one name, in paused time.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_client::{Downstream, DownstreamHandle};
use plimsoll_core::{Criticality, Gate, GateLayer, Http, Priority, wire};
use tokio::time::{Instant, interval, sleep};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneSyncService};

use crate::within_a_minute;

type Body = Empty<bytes::Bytes>;
type Callee = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Ten instances in round-robin order. Each rejects at once below its threshold, and answers the
/// rest after `takes`.
struct Fleet {
    thresholds: [AtomicU16; 10],
    turn: AtomicUsize,
    takes: Duration,
}

impl Fleet {
    fn new(takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            thresholds: Default::default(),
            turn: AtomicUsize::new(0),
            takes,
        })
    }

    /// The first `instances` announce this threshold from now on.
    fn announce(&self, instances: usize, threshold: u16) {
        let thresholds = self.thresholds.iter().take(instances);
        thresholds.for_each(|it| it.store(threshold, Relaxed));
    }

    async fn answer(&self, req: &Request<Body>) -> Response<Body> {
        let instance = self.turn.fetch_add(1, Relaxed) % 10;
        let threshold = self.thresholds[instance].load(Relaxed);
        let mut response = Response::new(Body::new());
        if Priority::of(req).level() < threshold {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        } else {
            sleep(self.takes).await;
        }
        let headers = response.headers_mut();
        headers.insert(wire::THRESHOLD, threshold.into());
        response
    }
}

struct Client {
    gate: Gate<Callee, Downstream, Http>,
    handle: DownstreamHandle,
    fleet: Arc<Fleet>,
}

impl Client {
    fn of(fleet: &Arc<Fleet>) -> Self {
        fastrand::seed(7);
        let fleet = Arc::clone(fleet);
        let callee = {
            let fleet = Arc::clone(&fleet);
            tower::service_fn(move |req: Request<Body>| {
                let fleet = Arc::clone(&fleet);
                async move { Ok(fleet.answer(&req).await) }
            })
        };
        let downstream = Downstream::new();
        let handle = downstream.handle();
        let gate = GateLayer::new(downstream).layer(BoxCloneSyncService::new(callee));
        Self {
            gate,
            handle,
            fleet,
        }
    }

    /// Makes calls of one criticality at a steady rate. Returns how many were sent, and how many
    /// succeeded.
    async fn calls(&self, kind: Criticality, every: Duration, calls: u32) -> (usize, usize) {
        let before = self.fleet.turn.load(Relaxed);
        let mut ticks = interval(every);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..calls {
            ticks.tick().await;
            let mut req = Request::new(Body::new());
            // As with `Downstream` and `ByHeader`: client and callee use the same cohort.
            let cohort = fastrand::u8(..128);
            let priority = Priority::new(kind).in_cohort(cohort);
            req.extensions_mut().insert(priority);
            let gate = self.gate.clone();
            tasks.spawn(async move { gate.oneshot(req).await.unwrap().status() });
        }
        let answers = within_a_minute(tasks.join_all()).await;
        let well = answers.iter().filter(|it| **it == StatusCode::OK).count();
        (self.fleet.turn.load(Relaxed) - before, well)
    }
}

#[tokio::test(start_paused = true)]
async fn one_overloaded_instance_of_ten_costs_its_share() {
    // Fast and slow services; from a thousand calls per second to one.
    for (takes, every, calls) in [
        (20, 10, 3_000),
        (20, 1, 3_000),
        (2_000, 1, 3_000),
        (20, 200, 300),
        (20, 1_000, 100),
    ] {
        let fleet = Fleet::new(ms(takes));
        fleet.announce(1, 511);
        let client = Client::of(&fleet);
        let all = (calls as usize, calls as usize * 9 / 10);
        let got = client.calls(Criticality::Critical, ms(every), calls).await;
        assert_eq!(got, all, "one call in {every} ms, of {takes} ms each");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_whose_first_answers_are_rejections_is_sent() {
    let fleet = Fleet::new(ms(500));
    fleet.announce(1, 511);
    let client = Client::of(&fleet);
    let burst = Duration::from_nanos(1);
    assert_eq!(
        client.calls(Criticality::Critical, burst, 1000).await.0,
        1000
    );
    assert_eq!(
        client.calls(Criticality::Critical, ms(1), 1000).await.0,
        1000
    );
}

#[tokio::test(start_paused = true)]
async fn all_instances_that_announce_make_the_client_shed() {
    let fleet = Fleet::new(ms(20));
    let client = Client::of(&fleet);
    let healthy = client.calls(Criticality::Sheddable, ms(10), 1000).await;
    assert_eq!(healthy, (1000, 1000));
    fleet.announce(10, 384);
    // Half of a window is needed to start; then one call per second is a probe.
    let (onset, _) = client.calls(Criticality::Sheddable, ms(10), 200).await;
    assert!(onset < 60, "{onset} of 200 sent at first");
    let (sent, _) = client.calls(Criticality::Sheddable, ms(10), 3000).await;
    assert!((28..=31).contains(&sent), "{sent} of 3,000 sent in 30 s");
    assert_eq!(client.handle.threshold(Instant::now()), 384);
    let above = client.calls(Criticality::CriticalPlus, ms(10), 1000).await;
    assert_eq!(above, (1000, 1000), "requests above the threshold are sent");
    assert_eq!(client.handle.threshold(Instant::now()), 384);

    fleet.announce(10, 0);
    let (sent, well) = client.calls(Criticality::Sheddable, ms(10), 1000).await;
    assert!(
        sent >= 900 && well == sent,
        "{sent}: a probe ends the shedding"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_above_the_threshold_confirm_it() {
    let fleet = Fleet::new(ms(300));
    fleet.announce(10, 256);
    let client = Client::of(&fleet);
    client.calls(Criticality::CriticalPlus, ms(10), 500).await;
    assert_eq!(client.handle.threshold(Instant::now()), 256);
    let (sent, _) = client.calls(Criticality::Sheddable, ms(10), 90).await;
    assert_eq!(sent, 1, "a probe");
}

#[tokio::test(start_paused = true)]
async fn each_level_has_its_own_share() {
    let fleet = Fleet::new(ms(20));
    fleet.announce(10, 128);
    fleet.announce(4, 511);
    let client = Client::of(&fleet);
    client.calls(Criticality::Critical, ms(10), 500).await;
    assert_eq!(client.handle.threshold(Instant::now()), 128);
    fleet.announce(8, 511);
    client.calls(Criticality::Critical, ms(10), 500).await;
    assert_eq!(client.handle.threshold(Instant::now()), 511);
}
