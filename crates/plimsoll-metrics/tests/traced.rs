//! Events and spans of `tracing`. A program of its own: other tests would register the events first,
//! without a subscriber.
#![cfg(feature = "tracing")]

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use plimsoll_core::{
    GateLayer, Kind, Observe, Outcome, Policy, Rejected, Rejection,
    figures::{self, Change, Figure, Figures},
    policy::Verdict,
};
use plimsoll_metrics::{Alarm, GateMetrics, Metrics, WaitSpans};
use tokio::time::{Instant, Sleep, sleep};
use tower::{Layer, ServiceExt};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Writes each event and each new span as a line.
#[derive(Clone, Default)]
struct Lines {
    written: Arc<Mutex<Vec<String>>>,
    panics: Arc<AtomicBool>,
    least: Option<Level>,
    spans: Arc<AtomicU64>,
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.written.lock().unwrap())
    }

    fn add(&self, line: String) {
        self.written.lock().unwrap().push(line);
        assert!(!self.panics.load(Relaxed), "this subscriber is broken");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target() == "plimsoll" && self.least.is_none_or(|least| *of.level() <= least)
    }
    fn new_span(&self, of: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(format!("span {}", of.metadata().name()));
        of.record(&mut line);
        self.add(line.0);
        span::Id::from_u64(1 + self.spans.fetch_add(1, Relaxed))
    }
    fn record(&self, _: &span::Id, of: &span::Record<'_>) {
        let mut line = Line("recorded".into());
        of.record(&mut line);
        self.add(line.0);
    }
    fn try_close(&self, _: span::Id) -> bool {
        self.written.lock().unwrap().push("closed".into());
        true
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.add(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

static STATE: Figure = Figure::state("state", &["closed", "open"], "State");

type Callback = Arc<dyn Fn(&Change) + Send + Sync>;

/// Reports what a test reports.
#[derive(Clone, Default)]
struct Handle(Arc<Mutex<Option<Callback>>>);

impl Handle {
    fn report(&self, change: &Change) {
        let callback = self.0.lock().unwrap().clone().unwrap();
        callback(change);
    }
}

impl Figures for Handle {
    fn policy(&self) -> &'static str {
        "circuit-breaker"
    }
    fn read(&self, _: &mut dyn FnMut(&'static Figure, f64)) {}
    fn on_change(&self, callback: Callback) {
        *self.0.lock().unwrap() = Some(callback);
    }
}

fn watched() -> (Metrics, Handle) {
    let (metrics, handle) = (Metrics::new(), Handle::default());
    metrics.watch("edge", handle.clone()).unwrap();
    (metrics, handle)
}

#[test]
fn each_change_is_an_event_with_its_fields() {
    let (metrics, handle) = watched();
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        handle.report(&Change::new(&STATE, 0.0, 1.0, "failure-rate").of_key("bidder"));
        handle.report(&Change::new(&figures::LIMIT, 100.0, 60.0, "latency"));
        assert!(lines.take().is_empty(), "not on the path of a request");
        metrics.watcher().step(Instant::now());
    });
    let expected = [
        "WARN message=state changed plimsoll.gate=edge plimsoll.policy=circuit-breaker \
         plimsoll.figure=\"state\" plimsoll.from=closed plimsoll.to=open \
         plimsoll.reason=failure-rate plimsoll.key=\"bidder\" plimsoll.by_hand=false plimsoll.event=1",
        "INFO message=limit changed plimsoll.gate=edge plimsoll.policy=circuit-breaker \
         plimsoll.figure=\"limit\" plimsoll.from=100 plimsoll.to=60 \
         plimsoll.reason=latency plimsoll.by_hand=false plimsoll.event=2",
    ];
    assert_eq!(lines.take(), expected);
}

#[test]
fn a_raised_alarm_is_a_warning_and_a_cleared_one_is_not() {
    let metrics = Metrics::new();
    let load = Arc::new(AtomicBool::new(true));
    let signal = load.clone();
    let alarm = Alarm::load(
        "store",
        move || if signal.load(Relaxed) { 2.0 } else { 0.1 },
    );
    metrics.alarm(alarm.lasting(Duration::ZERO)).unwrap();
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        metrics.watcher().step(Instant::now());
        load.store(false, Relaxed);
        metrics.watcher().step(Instant::now());
    });
    let levels: Vec<_> = lines
        .take()
        .iter()
        .map(|line| line[..4].to_owned())
        .collect();
    assert_eq!(levels, ["WARN", "INFO"]);
}

fn reject(gate: &GateMetrics, kind: Kind, times: u32) {
    for _ in 0..times {
        gate.rejected("edge", &Rejected::new(&Rejection::new("test", kind), None));
    }
}

#[test]
fn rejections_are_one_summary_per_second() {
    let metrics = Metrics::new();
    let (gate, start) = (metrics.gate("edge"), Instant::now());
    _ = metrics.gate("idle");
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let watcher = metrics.watcher();
        watcher.step(start);
        for tenth in 1..=30 {
            reject(&gate, Kind::Full, 10);
            reject(&gate, Kind::OverQuota, 1);
            watcher.step(start + Duration::from_millis(tenth * 100));
        }
        watcher.step(start + Duration::from_secs(10));
    });
    let lines = lines.take();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let expected = "INFO message=requests rejected plimsoll.gate=\"edge\" error.type=\"full\" \
                    plimsoll.rejected=110 plimsoll.rejected.over_quota=10 plimsoll.rejected.full=100 \
                    plimsoll.rejected.circuit_open=0 plimsoll.rejected.deadline=0 \
                    plimsoll.rejected.skipped=0 plimsoll.seconds=1.0";
    assert!(lines.iter().all(|line| line == expected), "{lines:#?}");
}

#[test]
fn law_10_a_subscriber_that_panics_stops_neither_the_watcher_nor_a_policy() {
    let (metrics, handle) = watched();
    let gate = metrics.gate("edge");
    let lines = Lines::default();
    lines.panics.store(true, Relaxed);
    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    metrics.on_event(move |_| _ = count.fetch_add(1, Relaxed));
    tracing::subscriber::with_default(lines.clone(), || {
        for second in 0..3 {
            handle.report(&Change::new(&STATE, 0.0, 1.0, "test").of_key("a"));
            reject(&gate, Kind::Full, 1);
            let now = Instant::now() + Duration::from_secs(second);
            assert!(metrics.watcher().step(now));
        }
    });
    assert_eq!(seen.load(Relaxed), 3);
    assert_eq!(lines.take().len(), 6, "three changes and three summaries");
}

#[tokio::test(start_paused = true)]
async fn each_wait_in_the_queue_is_a_span() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let layer = GateLayer::builder(Queue)
        .name("ads")
        .observe(WaitSpans)
        .build();
    let answer = async |_| Ok::<_, Infallible>(Response::new(String::new()));
    let service = layer.layer(tower::service_fn(answer));
    let ask = |millis: u64| {
        service
            .clone()
            .oneshot(Request::new(Duration::from_millis(millis)))
    };
    _ = ask(0).await.unwrap();
    assert!(lines.take().is_empty(), "it was not queued");
    let mut queued = pin!(ask(250));
    assert!(futures_util::poll!(queued.as_mut()).is_pending());
    let opened = r#"span queue wait plimsoll.gate="ads""#;
    assert_eq!(lines.take(), [opened], "it is open while the request waits");
    assert_eq!(queued.await.unwrap().status(), 200);
    let ended = |wait: &str, outcome: &str| {
        [
            format!("recorded plimsoll.wait={wait}"),
            format!("recorded plimsoll.outcome={outcome:?}"),
            "DEBUG message=the request left the queue".into(),
            "closed".into(),
        ]
    };
    assert_eq!(lines.take(), ended("0.25", "admitted"));
    assert_eq!(ask(TOO_LONG).await.unwrap().status(), 503);
    assert_eq!(lines.take()[1..], ended("0.3", "rejected"));
    let abandoned = tokio::time::timeout(Duration::from_millis(100), ask(250)).await;
    assert!(abandoned.is_err());
    assert_eq!(lines.take()[1..], ended("0.1", "abandoned"));

    lines.panics.store(true, Relaxed);
    assert_eq!(
        ask(250).await.unwrap().status(),
        200,
        "law 10: the subscriber panics"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_unless_a_subscriber_listens() {
    let lines = Lines {
        least: Some(Level::ERROR),
        ..Lines::default()
    };
    let _guard = tracing::subscriber::set_default(lines.clone());
    assert!(WaitSpans.queued("ads").is_none());
    let (metrics, handle) = watched();
    handle.report(&Change::new(&STATE, 0.0, 1.0, "test"));
    metrics.watcher().step(Instant::now());
    assert!(lines.take().is_empty() && lines.spans.load(Relaxed) == 0);
}

/// The wait after which a request is rejected, in milliseconds.
const TOO_LONG: u64 = 300;

/// Queues each request for the time that it states.
struct Queue;

impl Policy<Request<Duration>> for Queue {
    type Permit = ();
    type Wait = Pin<Box<Sleep>>;

    fn admit(&self, req: &mut Request<Duration>, _: Instant) -> Verdict<(), Self::Wait> {
        if req.body().is_zero() {
            Verdict::Admit(())
        } else {
            Verdict::Wait(Box::pin(sleep(*req.body())))
        }
    }

    fn poll_wait(
        &self,
        mut wait: Pin<&mut Self::Wait>,
        req: &mut Request<Duration>,
        _: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        ready!(wait.as_mut().as_mut().poll(cx));
        Poll::Ready(if req.body().as_millis() == u128::from(TOO_LONG) {
            Err(Rejection::new("test", Kind::Full))
        } else {
            Ok(())
        })
    }

    fn abandon(&self, _: Pin<&mut Self::Wait>, _: Instant) {}
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}
