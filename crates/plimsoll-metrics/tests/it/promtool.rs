//! Prometheus' own checker reads what this crate writes.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use plimsoll_core::{
    Class, Kind, Observe, Outcome, Rejected, Rejection,
    figures::{Figure, Figures},
};
use plimsoll_metrics::{Distribution, Metrics};
use tokio::time::Instant;

static STATE: Figure = Figure::state("state", &["closed", "open"], "State of the circuit");
static PROBE: Figure = Figure::gauge("probe_in", "Time to the next probe").in_unit("seconds");
static SHED: Figure = Figure::counter("shed", "Requests shed");

struct Breaker;

impl Figures for Breaker {
    fn policy(&self) -> &'static str {
        "breaker"
    }
    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&STATE, 1.0);
        each(&PROBE, f64::NAN);
        each(&SHED, 3.0);
    }
}

/// A registry with each kind of metric.
fn full() -> Metrics {
    let metrics = Metrics::new();
    let gate = metrics.gate("ed\"ge\n");
    gate.admitted("edge", Duration::from_millis(3));
    let outcome = Outcome::new(Class::Success, Duration::from_millis(40), Instant::now());
    gate.finished("edge", &outcome);
    let rejection = Rejection::new("shed", Kind::Full);
    gate.rejected("edge", &Rejected::new(&rejection, None));
    metrics.watch("store", Breaker).unwrap();
    metrics.load("store", || 0.25).unwrap();
    metrics
        .gauge("app_size_bytes", "Size", &[], || f64::NAN)
        .unwrap();
    metrics
        .counter("app_drops_total", "Drops", &[("queue", "a\\b")], || 7)
        .unwrap();
    let waits = || Distribution {
        counts: vec![1, 2, 0],
        sum: 0.3,
    };
    metrics
        .histogram("app_wait_seconds", "Wait", &[], &[0.1, 1.0], waits)
        .unwrap();
    metrics
}

/// Runs `promtool check metrics`, which is in the package `prometheus`; `cargo xtask test` installs
/// it.
#[tokio::test]
async fn promtool_accepts_a_registry_with_each_kind_of_metric() {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started: install the package `prometheus`");
    let text = full().prometheus().into_body();
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}\n{text}");
    assert_eq!(complaints, "", "{text}");
}
