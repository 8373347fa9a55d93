//! Names that are hostile, or clash.

use std::collections::BTreeSet;

use plimsoll_metrics::{Distribution, InvalidMetric, Metrics};
use proptest::prelude::*;

use crate::reader;

/// A family as a program registers it: its name, and `c`ounter, `g`auge or `h`istogram.
fn register(metrics: &Metrics, name: &str, kind: char) -> Result<(), InvalidMetric> {
    match kind {
        'c' => metrics.counter(&format!("{name}_total"), "Help", &[], || 1),
        'g' => metrics.gauge(name, "Help", &[], || 1.0),
        _ => {
            let read = || Distribution {
                counts: vec![1, 1],
                sum: 1.0,
            };
            metrics.histogram(name, "Help", &[], &[1.0], read)
        }
    }
}

/// The rule of the parser of OpenMetrics in Prometheus' Python client: each family takes its name
/// and, by its type, these suffixes; none may be taken twice.
fn taken(name: &str, kind: char) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        'c' => &["", "_total", "_created"],
        'g' => &[""],
        _ => &["", "_count", "_sum", "_bucket", "_created"],
    };
    suffixes
        .iter()
        .map(|suffix| format!("{name}{suffix}"))
        .collect()
}

fn families() -> impl Strategy<Value = Vec<(String, char)>> {
    let suffix = prop_oneof![
        Just(""),
        Just("_created"),
        Just("_count"),
        Just("_sum"),
        Just("_bucket"),
        Just("_info"),
        Just("_gcount"),
        Just("_gsum"),
        Just("_total"),
    ];
    let name = (
        prop_oneof![Just("foo"), Just("bar")],
        suffix.clone(),
        suffix,
    )
        .prop_map(|(stem, one, two)| format!("{stem}{one}{two}"));
    let kind = prop_oneof![Just('c'), Just('g'), Just('h')];
    prop::collection::vec((name, kind), 1..12)
}

proptest! {
    #[test]
    fn families_that_a_strict_parser_rejects_together_are_not_registered_together(families in families()) {
        let metrics = Metrics::new();
        let mut all = BTreeSet::new();
        for (name, kind) in families {
            let names = taken(&name, kind);
            let free = names.iter().all(|name| !all.contains(name));
            let is_name = !name.ends_with("_total");
            let registered = register(&metrics, &name, kind);
            if is_name {
                prop_assert_eq!(registered.is_ok(), free, "{} {}: {:?}", name, kind, registered);
            }
            if registered.is_ok() {
                prop_assert!(free);
                all.extend(names);
            }
        }
        reader::openmetrics(metrics.openmetrics().body());
        reader::classic(metrics.prometheus().body());
    }

    #[test]
    fn any_name_of_a_gate_gives_a_valid_text(names in prop::collection::vec(any::<String>(), 0..8)) {
        let metrics = Metrics::new();
        for name in names {
            _ = metrics.gate(name);
        }
        reader::openmetrics(metrics.openmetrics().body());
        reader::classic(metrics.prometheus().body());
    }
}

#[test]
fn a_created_gauge_beside_its_counter_is_rejected() {
    let metrics = Metrics::new();
    metrics.counter("foo_total", "Help", &[], || 1).unwrap();
    for name in ["foo_created", "foo"] {
        let conflict = InvalidMetric::Conflict { name: name.into() };
        assert_eq!(metrics.gauge(name, "Help", &[], || 1.0), Err(conflict));
    }
    metrics.gauge("foo_info", "Help", &[], || 1.0).unwrap();
}

#[test]
fn a_gate_with_a_long_name_keeps_its_beginning() {
    let metrics = Metrics::new();
    let long = "gate ".repeat(2_000);
    let gate = metrics.gate(long.clone());
    assert_eq!(gate.name().len(), 128);
    assert!(long.starts_with(&gate.name()[..111]));
    assert_eq!(metrics.gate(long.clone()).name(), gate.name());
    assert_ne!(
        metrics.gate(long + "more").name(),
        gate.name(),
        "another gate"
    );
    assert_eq!(metrics.gates().len(), 2);
    assert_eq!(metrics.snapshot().shortened_names, 3);
    // In the middle of a character of three bytes.
    let name = metrics.gate("€".repeat(50)).name().to_owned();
    assert!(name.len() <= 128 && name.starts_with("€€€") && name.contains('~'));
}

#[test]
fn law_10_a_hostile_name_is_escaped() {
    let metrics = Metrics::new();
    let hostile = "<script>alert(\"x\")</script>\n# EOF\n\\{gate=\"y\"} 1\u{0}";
    _ = metrics.gate(hostile);
    metrics.load(hostile, || 0.5).unwrap();
    let samples = reader::openmetrics(metrics.openmetrics().body());
    let admitted = samples
        .keys()
        .filter(|name| name.starts_with("plimsoll_admitted_total"));
    assert_eq!(admitted.count(), 1);
    reader::classic(metrics.prometheus().body());
}
