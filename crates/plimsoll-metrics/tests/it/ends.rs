//! How calls end: behind an inner gate, with a body that is dropped, beside an observer that
//! panics.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use plimsoll_core::{Class, GateLayer, Kind, Observe, Outcome, Rejected};
use plimsoll_metrics::{GateCounts, Metrics};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    reader,
    support::{Play, Playing, millis},
};

/// The classes that were counted, by label.
fn ended(counts: &GateCounts) -> Vec<(&'static str, u64)> {
    let all = Class::ALL.map(|class| (class.as_str(), counts.finished(class)));
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

async fn hello(_: Request<Play>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::from("hello")))
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_an_inner_gate_has_its_own_class_and_no_latency() {
    let metrics = Metrics::new();
    let outer = GateLayer::builder(())
        .observe(metrics.gate("outer"))
        .build();
    let inner = GateLayer::builder(Playing)
        .observe(metrics.gate("inner"))
        .build();
    let stack = outer.layer(inner.layer(service_fn(hello)));
    let rejected = Play::Reject("rate-limit", Kind::OverQuota);
    for (play, status) in [(rejected, 429), (Play::Answer(200, millis(1)), 200)] {
        let response = stack.clone().oneshot(Request::new(play)).await.unwrap();
        assert_eq!(response.status(), status);
        response.into_body().collect().await.unwrap();
    }
    let outer = metrics.gate("outer");
    assert_eq!(ended(&outer.counts()), [("success", 1), ("rejected", 1)]);
    assert_eq!((outer.counts().rejected(), outer.latency().count()), (0, 1));
    let inner = metrics.gate("inner").counts();
    assert_eq!((inner.rejected(), ended(&inner)), (1, vec![("success", 1)]));

    let samples = reader::openmetrics(metrics.openmetrics().body());
    let series = r#"plimsoll_finished_total{class="rejected",gate="outer"}"#;
    assert_eq!(samples[series], 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_is_dropped_keeps_its_class_and_is_counted_as_dropped() {
    let metrics = Metrics::new();
    let layer = GateLayer::builder(()).observe(metrics.gate("g")).build();
    let stack = layer.layer(service_fn(hello));
    for read in [true, false] {
        let request = Request::new(Play::Answer(200, millis(1)));
        let response = stack.clone().oneshot(request).await.unwrap();
        if read {
            response.into_body().collect().await.unwrap();
        }
    }
    let counts = metrics.gate("g").counts();
    assert_eq!(ended(&counts), [("success", 2)]);
    assert_eq!((counts.body_dropped, counts.in_flight()), (1, 0));
    let samples = reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(samples[r#"plimsoll_body_dropped_total{gate="g"}"#], 1.0);
}

/// An observer that panics at every event.
struct Broken;

impl Observe for Broken {
    fn admitted(&self, _: &str, _: Duration) {
        panic!("telemetry is down");
    }
    fn rejected(&self, _: &str, _: &Rejected<'_>) {
        panic!("telemetry is down");
    }
    fn abandoned(&self, _: &str, _: Duration) {
        panic!("telemetry is down");
    }
    fn finished(&self, _: &str, _: &Outcome) {
        panic!("telemetry is down");
    }
}

#[tokio::test(start_paused = true)]
async fn law_10_an_observer_that_panics_hides_no_event_from_another() {
    for broken_first in [true, false] {
        let metrics = Metrics::new();
        let gate = metrics.gate("g");
        let builder = GateLayer::builder(Playing);
        let layer = if broken_first {
            builder.observe(Broken).observe(gate.clone()).build()
        } else {
            builder.observe(gate.clone()).observe(Broken).build()
        };
        let stack = layer.layer(service_fn(hello));
        for play in [
            Play::Answer(200, millis(1)),
            Play::Queue(millis(5)),
            Play::Reject("concurrency", Kind::Full),
        ] {
            let response = stack.clone().oneshot(Request::new(play)).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
        let mut queued = Box::pin(stack.oneshot(Request::new(Play::Queue(millis(1_000)))));
        assert!(futures_util::poll!(&mut queued).is_pending());
        drop(queued);
        let counts = gate.counts();
        assert_eq!(
            (counts.admitted, counts.rejected(), counts.abandoned),
            (2, 1, 1)
        );
        assert_eq!(ended(&counts), [("success", 2)]);
    }
}

/// Counts the events that it receives, and needs no request that is not queued.
#[derive(Default)]
struct Waits([AtomicU64; 4]);

impl Waits {
    fn count(&self, event: usize) {
        self.0[event].fetch_add(1, Relaxed);
    }

    fn counts(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|event| self.0[event].load(Relaxed))
    }
}

impl Observe for Waits {
    fn observes_each_request(&self) -> bool {
        false
    }
    fn admitted(&self, _: &str, waited: Duration) {
        // The event of a request that was not queued may come or not.
        if !waited.is_zero() {
            self.count(0);
        }
    }
    fn abandoned(&self, _: &str, _: Duration) {
        self.count(1);
    }
    fn rejected(&self, _: &str, _: &Rejected<'_>) {
        self.count(2);
    }
    fn finished(&self, _: &str, _: &Outcome) {
        self.count(3);
    }
}

/// Plays a request of each kind.
async fn play_all(layer: GateLayer<Playing>) {
    let stack = layer.layer(service_fn(hello));
    for play in [
        Play::Answer(200, millis(1)),
        Play::Queue(millis(5)),
        Play::Reject("concurrency", Kind::Full),
        Play::Answer(200, millis(1)),
    ] {
        let response = stack.clone().oneshot(Request::new(play)).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    let mut queued = Box::pin(stack.oneshot(Request::new(Play::Queue(millis(1_000)))));
    assert!(futures_util::poll!(&mut queued).is_pending());
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_needs_no_requests_receives_waits_and_rejections_only() {
    let waits = Arc::new(Waits::default());
    let builder = GateLayer::builder(Playing);
    play_all(builder.observe(Arc::clone(&waits)).build()).await;
    assert_eq!(waits.counts(), [1, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn each_of_several_observers_counts_every_request() {
    let metrics = Metrics::new();
    let (one, other) = (metrics.gate("one"), metrics.gate("other"));
    let waits = Arc::new(Waits::default());
    let builder = GateLayer::builder(Playing).observe(Arc::clone(&waits));
    play_all(builder.observe(one.clone()).build()).await;
    assert_eq!(waits.counts()[..3], [1, 1, 1]);
    let builder = GateLayer::builder(Playing).observe(one.clone());
    play_all(builder.observe(other.clone()).build()).await;
    for (gate, times) in [(one, 2), (other, 1)] {
        let counts = gate.counts();
        assert_eq!((counts.admitted, counts.in_flight()), (3 * times, 0));
        assert_eq!((counts.rejected(), counts.abandoned), (times, times));
        assert_eq!(ended(&counts), [("success", 3 * times)]);
        assert_eq!(gate.latency().count(), 3 * times);
        assert_eq!(gate.waits().count(), 2 * times);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_measures_the_permit_times_of_some_requests() {
    let metrics = Metrics::new();
    let gate = metrics.gate("g");
    let layer = GateLayer::builder(()).observe(gate.clone()).build();
    let stack = layer.layer(service_fn(hello));
    for _ in 0..12_800 {
        let request = Request::new(Play::Answer(200, Duration::ZERO));
        let response = stack.clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(gate.latency().count(), 12_800);
    // The mean is 100, its deviation about 6.
    let measured = gate.permits().count();
    assert!((60..140).contains(&measured), "{measured}");
}
