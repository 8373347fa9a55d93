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

/// Runs promtool in the folder of the alert rules.
fn promtool(args: &[&str]) -> (bool, String) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alerts");
    let output = Command::new("promtool")
        .args(args)
        .current_dir(folder)
        .output()
        .expect("promtool can be started: install the package `prometheus`");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into(),
    )
}

#[test]
fn the_alert_rules_are_valid_and_fire_as_their_tests_state() {
    for args in [
        ["check", "rules", "plimsoll.rules.yml"],
        ["test", "rules", "plimsoll.rules.test.yml"],
    ] {
        let (passed, text) = promtool(&args);
        assert!(passed, "{text}");
    }
}

/// The names of metrics in a text: words that begin with `plimsoll_`, without what Prometheus
/// appends.
fn names(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let mut names: Vec<_> = words
        .filter(|word| word.starts_with("plimsoll_"))
        .map(|word| {
            let known = ["_total", "_bucket"].iter();
            let base = known.clone().find_map(|suffix| word.strip_suffix(suffix));
            base.unwrap_or(word).to_owned()
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// All Rust sources of the crates, as one text.
fn sources(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn alerts_and_boards_use_only_metrics_that_the_crates_export() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut code = String::new();
    sources(&root.join("crates"), &mut code);
    for file in [
        "plimsoll.rules.yml",
        "plimsoll.rules.test.yml",
        "grafana.json",
    ] {
        let text = std::fs::read_to_string(root.join("docs/alerts").join(file)).unwrap();
        let names = names(&text);
        assert!(names.len() > 10, "{file}: {names:?}");
        for name in names {
            let defined = if let Some(figure) = name.strip_prefix("plimsoll_policy_") {
                let figure = figure.strip_suffix("_seconds").unwrap_or(figure);
                ["gauge", "counter", "state", "by_criticality"]
                    .iter()
                    .any(|kind| code.contains(&format!("{kind}(\"{figure}\"")))
            } else if let Some(family) = name.strip_prefix("plimsoll_stream_") {
                code.contains(&format!("\"{family}\""))
                    || code.contains(&format!("\"{family}_total\""))
            } else {
                code.contains(&format!("\"{name}\""))
            };
            assert!(defined, "{file}: no code exports {name}");
        }
    }
}
