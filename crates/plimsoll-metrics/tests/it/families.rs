//! The snapshot as families: the table, and the figures of policies.

use std::{collections::BTreeSet, sync::Arc};

use plimsoll_core::figures::{Figure, Figures};
use plimsoll_metrics::{
    Alarm, InvalidMetric, Metrics,
    families::{FAMILIES, FamilyKind},
};

use tokio::time::Instant;

use crate::reader;

static LIMIT: Figure = Figure::gauge("limit", "Limit");
static SHED: Figure = Figure::counter("shed", "Requests shed");
static STATE: Figure = Figure::state("state", &["closed", "open"], "State");
static PROBE: Figure = Figure::gauge("probe_in", "Time to the next probe").in_unit("seconds");

struct Policy(&'static str, Vec<(&'static Figure, f64)>);

impl Figures for Policy {
    fn policy(&self) -> &'static str {
        self.0
    }
    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        for (figure, value) in &self.1 {
            each(figure, *value);
        }
    }
}

#[tokio::test]
async fn figures_of_watched_policies_are_exported_by_gate_and_policy() {
    let metrics = Metrics::new();
    let breaker = Policy("breaker", vec![(&STATE, 1.0), (&PROBE, 2.5), (&SHED, 7.0)]);
    metrics.watch("edge", breaker).unwrap();
    metrics
        .watch("edge", Policy("limit", vec![(&LIMIT, 64.0)]))
        .unwrap();
    metrics
        .watch("store", Policy("limit", vec![(&LIMIT, 8.0)]))
        .unwrap();
    let text = metrics.openmetrics();
    let samples = reader::openmetrics(text.body());
    for (series, value) in [
        (r#"plimsoll_policy_limit{gate="edge",policy="limit"}"#, 64.0),
        (r#"plimsoll_policy_limit{gate="store",policy="limit"}"#, 8.0),
        (
            r#"plimsoll_policy_state{gate="edge",policy="breaker",state="open"}"#,
            1.0,
        ),
        (
            r#"plimsoll_policy_state{gate="edge",policy="breaker",state="closed"}"#,
            0.0,
        ),
        (
            r#"plimsoll_policy_shed_total{gate="edge",policy="breaker"}"#,
            7.0,
        ),
        (
            r#"plimsoll_policy_probe_in_seconds{gate="edge",policy="breaker"}"#,
            2.5,
        ),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    assert!(
        text.body()
            .contains("# UNIT plimsoll_policy_probe_in_seconds seconds\n")
    );
    reader::classic(metrics.prometheus().body());
}

#[tokio::test]
async fn a_figure_that_would_break_the_exposition_is_left_out() {
    static HOSTILE: [Figure; 4] = [
        Figure::gauge("a b", "Space"),
        Figure::gauge("", "Empty"),
        Figure::gauge("quote\"", "Quote"),
        Figure::gauge("fine", "Help\nof two lines"),
    ];
    static OTHER: Figure = Figure::counter("limit", "Another type of limit");
    let metrics = Metrics::new();
    let mut figures: Vec<_> = HOSTILE.iter().map(|figure| (figure, 1.0)).collect();
    figures.extend([
        (&LIMIT, 2.0),
        (&OTHER, 3.0),
        (&SHED, f64::NAN),
        (&STATE, 9.0),
    ]);
    metrics.watch("edge", Policy("hostile", figures)).unwrap();
    for text in [metrics.prometheus(), metrics.openmetrics()] {
        let shown: Vec<_> = text
            .body()
            .lines()
            .filter(|line| line.starts_with("plimsoll_policy"))
            .collect();
        assert_eq!(
            shown,
            [
                r#"plimsoll_policy_limit{gate="edge",policy="hostile"} 2.0"#,
                r#"plimsoll_policy_state{gate="edge",policy="hostile",state="closed"} 0.0"#,
                r#"plimsoll_policy_state{gate="edge",policy="hostile",state="open"} 0.0"#,
            ]
        );
    }
    reader::classic(metrics.prometheus().body());
}

#[tokio::test]
async fn a_gate_watches_a_policy_once_and_at_most_sixteen() {
    let metrics = Metrics::new();
    let names: Vec<&'static str> = (0..17).map(|i| &*format!("p{i}").leak()).collect();
    for name in &names[..16] {
        metrics.watch("edge", Policy(name, Vec::new())).unwrap();
    }
    let again = metrics.watch("edge", Arc::new(Policy("p3", Vec::new())));
    assert!(
        matches!(again, Err(InvalidMetric::Duplicate { .. })),
        "{again:?}"
    );
    let more = metrics.watch("edge", Policy(names[16], Vec::new()));
    assert!(
        matches!(more, Err(InvalidMetric::Full { max: 16, .. })),
        "{more:?}"
    );
}

#[tokio::test]
async fn the_table_names_each_family_of_a_registry_with_its_labels() {
    let metrics = Metrics::new();
    _ = metrics
        .gate("edge")
        .expecting("shed", plimsoll_core::Kind::Full);
    metrics.load("store", || 0.0).unwrap();
    metrics.alarm(Alarm::load("store", || 2.0)).unwrap();
    metrics.watcher().step(Instant::now());
    let families = metrics.snapshot().families();
    assert_eq!(families.len(), FAMILIES.len());
    for family in &families {
        let of = FAMILIES
            .iter()
            .find(|of| of.name == family.name)
            .expect(&family.name);
        assert_eq!(
            (of.kind, of.unit, of.help),
            (family.kind, family.unit, &*family.help)
        );
        let labels: BTreeSet<_> = family
            .samples
            .iter()
            .flat_map(|sample| &sample.labels)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(
            labels,
            of.labels.iter().copied().collect(),
            "{}",
            family.name
        );
        assert_eq!(of.unit.is_some(), family.name.ends_with("_seconds"));
    }
}

#[tokio::test]
async fn a_flat_histogram_has_the_numbers_of_the_text() {
    let metrics = Metrics::new();
    metrics.gate("edge");
    let text = reader::openmetrics(metrics.openmetrics().body());
    for family in metrics.snapshot().families() {
        if family.kind == FamilyKind::Summary {
            continue;
        }
        for flat in family.flat() {
            let suffix = if family.kind == FamilyKind::Counter {
                "_total"
            } else {
                ""
            };
            for sample in &flat.samples {
                let mut labels: Vec<_> = sample
                    .labels
                    .iter()
                    .map(|(k, v)| format!("{k}={v:?}"))
                    .collect();
                labels.sort_unstable();
                let series = format!("{}{suffix}{{{}}}", flat.name, labels.join(","));
                assert_eq!(text.get(&series), Some(&sample.value), "{series}");
            }
        }
    }
}
