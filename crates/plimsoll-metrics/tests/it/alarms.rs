//! Alarms in the process.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plimsoll_core::{
    Criticality, Kind,
    figures::{self, Figure},
};
use plimsoll_metrics::{Alarm, InvalidMetric, Metrics};
use tokio::time::Instant;

use crate::{
    handle::Handle,
    reader,
    support::{Play, run},
};

static STATE: Figure = Figure::state("state", &["closed", "open", "half-open"], "State");

/// Steps once per second, from second 0.
struct Steps {
    metrics: Metrics,
    start: Instant,
    second: u64,
}

impl Steps {
    fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            start: Instant::now(),
            second: 0,
        }
    }

    /// Steps this often, and returns whether the alarm about the gate is raised afterwards.
    fn step(&mut self, times: u64, alarm: &str) -> bool {
        for _ in 0..times {
            let now = self.start + Duration::from_secs(self.second);
            assert!(self.metrics.watcher().step(now));
            self.second += 1;
        }
        let alarms = self.metrics.snapshot().alarms;
        alarms.iter().any(|one| one.alarm == alarm && one.raised)
    }
}

#[test]
fn saturation_is_raised_after_its_time_and_cleared_below_the_lower_level() {
    let metrics = Metrics::new();
    let handle = Handle::with(&[
        (&figures::LIMIT, 10.0),
        (&figures::IN_USE, 9.0),
        (&figures::QUEUED, 0.0),
        (&figures::QUEUE_CAPACITY, 10.0),
    ]);
    metrics.watch("edge", handle.clone()).unwrap();
    let changes = Arc::new(Mutex::new(Vec::new()));
    let log = changes.clone();
    let alarm = Alarm::saturation().on_change(move |change| {
        let of = (change.gate.to_owned(), change.policy.to_owned());
        log.lock().unwrap().push((of, change.raised, change.value));
    });
    metrics.alarm(alarm).unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(!steps.step(10, "saturation"), "nine seconds");
    assert!(steps.step(1, "saturation"), "ten seconds");
    let series = r#"plimsoll_alarm{alarm="saturation",gate="edge",policy="handle"}"#;
    assert_eq!(
        reader::openmetrics(metrics.openmetrics().body())[series],
        1.0
    );

    handle.set(&figures::IN_USE, 7.0);
    assert!(steps.step(5, "saturation"), "between the levels");
    handle.set(&figures::QUEUED, 9.0);
    handle.set(&figures::IN_USE, 1.0);
    assert!(steps.step(5, "saturation"), "the queue is full");
    handle.set(&figures::QUEUED, 5.0);
    assert!(!steps.step(1, "saturation"));
    assert_eq!(
        reader::openmetrics(metrics.openmetrics().body())[series],
        0.0
    );

    let of = || ("edge".to_owned(), "handle".to_owned());
    assert_eq!(
        *changes.lock().unwrap(),
        [(of(), true, 0.9), (of(), false, 0.5)]
    );
    let events = metrics.events(0);
    let events: Vec<_> = events
        .iter()
        .filter(|event| event.policy == "saturation")
        .map(|event| {
            (
                event.change.figure.name,
                event.change.to,
                event.change.reason.as_str(),
            )
        })
        .collect();
    let expected = [
        ("alarm", 1.0, "0.900 of handle: above 0.8 for 10s"),
        ("alarm", 0.0, "0.500 of handle: below 0.6"),
    ];
    assert_eq!(events, expected);
}

#[test]
fn an_open_breaker_raises_its_alarm_in_the_first_step() {
    let metrics = Metrics::new();
    let breaker = Handle::with(&[(&STATE, 0.0), (&figures::PROBE_IN, f64::NAN)]);
    metrics.watch("edge", breaker.clone()).unwrap();
    // Another policy with states is no breaker.
    metrics
        .watch("store", Handle::with(&[(&STATE, 1.0)]))
        .unwrap();
    metrics.alarm(Alarm::breaker_open()).unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(!steps.step(1, "breaker_open"));
    breaker.set(&STATE, 1.0);
    assert!(steps.step(1, "breaker_open"));
    breaker.set(&STATE, 2.0);
    assert!(steps.step(1, "breaker_open"), "half-open");
    breaker.set(&STATE, 0.0);
    assert!(!steps.step(1, "breaker_open"));
    assert_eq!(metrics.snapshot().alarms.len(), 1);
}

#[test]
fn a_spent_budget_raises_its_alarm_after_five_seconds() {
    let metrics = Metrics::new();
    let budget = Handle::with(&[(&figures::BUDGET, 0.9)]);
    metrics.watch("store", budget.clone()).unwrap();
    metrics.alarm(Alarm::budget_empty()).unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(!steps.step(5, "budget_empty"));
    assert!(steps.step(1, "budget_empty"));
    budget.set(&figures::BUDGET, 1.0);
    assert!(!steps.step(1, "budget_empty"));
}

#[test]
fn items_that_a_queue_loses_raise_the_alarm_of_their_share() {
    let metrics = Metrics::new();
    let queue = Handle::with(&[(&figures::SENT, 1000.0), (&figures::DROPPED, 900.0)]);
    metrics.watch_part("prices", queue.clone()).unwrap();
    let alarm = Alarm::drops()
        .over(Duration::from_secs(10))
        .lasting(Duration::ZERO);
    metrics.alarm(alarm).unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(
        !steps.step(2, "drops"),
        "what was lost before does not count"
    );
    queue.set(&figures::SENT, 1100.0);
    queue.set(&figures::DROPPED, 902.0);
    assert!(steps.step(1, "drops"), "two of a hundred");
    queue.set(&figures::SENT, 2100.0);
    assert!(
        steps.step(5, "drops"),
        "two of 1,100 is above the lower level"
    );
    assert!(!steps.step(12, "drops"), "outside of the window");
    assert_eq!(metrics.snapshot().alarms[0].gate, "prices");
}

#[test]
fn shedding_is_measured_for_one_criticality() {
    let metrics = Metrics::new();
    let [low, .., top] = [0, 1, 2, 3].map(|of| (&figures::SHED_AS[of], &figures::ADMITTED_AS[of]));
    let shed = Handle::with(&[(low.0, 0.0), (low.1, 0.0), (top.0, 0.0), (top.1, 0.0)]);
    metrics.watch("edge", shed.clone()).unwrap();
    for criticality in [Criticality::Sheddable, Criticality::CriticalPlus] {
        let alarm = Alarm::shedding(criticality).lasting(Duration::ZERO);
        metrics.alarm(alarm).unwrap();
    }
    let mut steps = Steps::new(&metrics);
    _ = steps.step(1, "");
    shed.set(low.0, 50.0);
    shed.set(low.1, 50.0);
    shed.set(top.1, 100.0);
    assert!(steps.step(1, "shedding_sheddable"));
    assert!(!steps.step(1, "shedding_critical_plus"));
}

#[tokio::test]
async fn the_share_of_rejected_requests_is_that_of_the_gate() {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    metrics
        .alarm(Alarm::rejections().lasting(Duration::ZERO))
        .unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(!steps.step(1, "rejections"));
    for n in 0..100 {
        let play = match n % 10 {
            0 => Play::Reject("test", Kind::Full),
            _ => Play::Answer(200, Duration::ZERO),
        };
        run(&gate, play).await;
    }
    assert!(steps.step(1, "rejections"), "a tenth");
    let alarm = &metrics.snapshot().alarms[0];
    assert_eq!((alarm.policy.as_str(), alarm.value), ("", 0.1));
}

#[test]
fn a_load_that_panics_or_is_nan_raises_nothing() {
    let metrics = Metrics::new();
    let now = |alarm: Alarm| alarm.lasting(Duration::ZERO);
    metrics.alarm(now(Alarm::load("nan", || f64::NAN))).unwrap();
    metrics
        .alarm(now(Alarm::load("panics", || {
            panic!("the signal is broken")
        })))
        .unwrap();
    metrics.alarm(now(Alarm::load("high", || 2.0))).unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(steps.step(2, "high") && !steps.step(1, "nan") && !steps.step(1, "panics"));
}

#[test]
fn a_raised_alarm_of_a_policy_that_is_no_longer_watched_is_cleared() {
    let metrics = Metrics::new();
    metrics
        .watch("store", Handle::with(&[(&figures::BUDGET, 0.0)]))
        .unwrap();
    metrics
        .alarm(Alarm::budget_empty().lasting(Duration::ZERO))
        .unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(steps.step(1, "budget_empty"));
    metrics.unwatch("store", "handle");
    assert!(!steps.step(1, "budget_empty"));
    let last = metrics.events(0).pop().unwrap().change;
    assert_eq!((last.figure.name, last.to), ("alarm", 0.0));
    assert!(metrics.snapshot().alarms.is_empty());
}

#[test]
fn law_10_a_callback_that_panics_stops_no_alarm() {
    let metrics = Metrics::new();
    metrics
        .watch("store", Handle::with(&[(&figures::BUDGET, 0.0)]))
        .unwrap();
    let broken = Alarm::budget_empty()
        .lasting(Duration::ZERO)
        .on_change(|_| panic!("this callback is broken"));
    metrics.alarm(broken).unwrap();
    metrics
        .alarm(Alarm::load("later", || 9.0).lasting(Duration::ZERO))
        .unwrap();
    let mut steps = Steps::new(&metrics);
    assert!(steps.step(1, "budget_empty") && steps.step(1, "later"));
}

#[test]
fn law_09_an_invalid_alarm_is_an_error_that_names_it() {
    let metrics = Metrics::new();
    let error = |alarm: Alarm| metrics.alarm(alarm).unwrap_err().to_string();
    for (high, low) in [
        (0.0, 0.0),
        (f64::NAN, 0.1),
        (0.5, f64::NAN),
        (0.5, 0.6),
        (f64::INFINITY, 1.0),
    ] {
        let alarm = Alarm::saturation().raise_above(high).clear_below(low);
        assert!(
            error(alarm).starts_with("levels of alarm \"saturation\""),
            "{high} {low}"
        );
    }
    let short = Alarm::drops().over(Duration::from_millis(999));
    assert!(error(short).starts_with("window of alarm \"drops\" must be 1 s to 1 h, got 999ms"));
    assert!(error(Alarm::drops().named("")).starts_with("the name of an alarm must be 1 to 128"));
    metrics.alarm(Alarm::drops()).unwrap();
    assert_eq!(
        metrics.alarm(Alarm::drops()),
        Err(InvalidMetric::Duplicate {
            name: "drops".into()
        })
    );
    assert!(metrics.alarm(Alarm::drops().named("more drops")).is_ok());
}

#[test]
fn law_07_a_registry_has_at_most_32_alarms() {
    let metrics = Metrics::new();
    for n in 0..32 {
        metrics
            .alarm(Alarm::saturation().named(&format!("alarm {n}")))
            .unwrap();
    }
    let full = InvalidMetric::Full {
        what: "alarms",
        max: 32,
    };
    assert_eq!(metrics.alarm(Alarm::saturation()), Err(full));
}
