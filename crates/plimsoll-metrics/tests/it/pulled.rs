//! Gauges, counters and states that are read while scraping.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use plimsoll_metrics::{Distribution, InvalidMetric, Metrics};

use crate::reader::{self, Samples};

fn scrape(metrics: &Metrics) -> Samples {
    let samples = reader::openmetrics(metrics.openmetrics().body());
    reader::classic(metrics.prometheus().body());
    samples
}

#[test]
fn a_gauge_is_read_when_scraped_and_only_then() {
    let metrics = Metrics::new();
    let reads = Arc::new(AtomicU64::new(0));
    let counted = reads.clone();
    let read = move || counted.fetch_add(1, Relaxed) as f64;
    metrics
        .gauge("ads_limit", "Places", &[("gate", "store")], read)
        .unwrap();
    metrics
        .gauge("ads_limit", "Places", &[("gate", "edge")], || 12.5)
        .unwrap();
    assert_eq!(reads.load(Relaxed), 0);
    let samples = reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(samples[r#"ads_limit{gate="store"}"#], 0.0);
    assert_eq!(samples[r#"ads_limit{gate="edge"}"#], 12.5);
    assert_eq!(reads.load(Relaxed), 1);
}

#[test]
fn a_counter_is_named_total_in_both_formats() {
    let metrics = Metrics::new();
    metrics
        .counter("ads_evicted_total", "Keys evicted", &[], || 7)
        .unwrap();
    assert_eq!(scrape(&metrics)["ads_evicted_total{}"], 7.0);
    assert!(
        metrics
            .openmetrics()
            .body()
            .contains("# TYPE ads_evicted counter\nads_evicted_total 7\n")
    );
    assert!(
        metrics
            .prometheus()
            .body()
            .contains("# TYPE ads_evicted_total counter\nads_evicted_total 7\n")
    );
}

#[test]
fn exactly_one_state_is_on() {
    const STATES: &[&str] = &["closed", "open", "half-open"];
    let metrics = Metrics::new();
    let state = Arc::new(AtomicUsize::new(0));
    let reading = state.clone();
    let read = move || STATES.get(reading.load(Relaxed)).copied().unwrap_or("lost");
    metrics
        .state("bids_state", "State", &[("bidder", "a")], STATES, read)
        .unwrap();
    for on in [0, 1, 2, 1, 0] {
        state.store(on, Relaxed);
        let samples = scrape(&metrics);
        let shown = STATES
            .map_states(|state| samples[&format!(r#"bids_state{{bidder="a",state="{state}"}}"#)]);
        let expected: Vec<_> = (0..3).map(|i| f64::from(u8::from(i == on))).collect();
        assert_eq!(shown, expected);
        assert_eq!(samples["plimsoll_failed_readings_total{}"], 0.0);
    }
    state.store(9, Relaxed);
    let samples = reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(
        samples
            .iter()
            .filter(|(s, v)| s.starts_with("bids") && **v == 0.0)
            .count(),
        3
    );
    assert_eq!(samples["plimsoll_failed_readings_total{}"], 1.0);
}

trait MapStates {
    fn map_states(&self, f: impl Fn(&str) -> f64) -> Vec<f64>;
}

impl MapStates for [&str] {
    fn map_states(&self, f: impl Fn(&str) -> f64) -> Vec<f64> {
        self.iter().map(|state| f(state)).collect()
    }
}

#[test]
fn nan_and_infinities_are_exported_unchanged() {
    let metrics = Metrics::new();
    for (name, value) in [
        ("a", f64::NAN),
        ("b", f64::INFINITY),
        ("c", f64::NEG_INFINITY),
    ] {
        metrics.gauge(name, "Odd", &[], move || value).unwrap();
    }
    let samples = scrape(&metrics);
    assert!(samples["a{}"].is_nan());
    assert_eq!(
        (samples["b{}"], samples["c{}"]),
        (f64::INFINITY, f64::NEG_INFINITY)
    );
}

#[test]
fn law_10_a_panicking_reading_is_left_out_and_counted_and_the_others_are_exported() {
    let metrics = Metrics::new();
    metrics.gauge("before", "Fine", &[], || 1.0).unwrap();
    metrics
        .gauge("broken", "Not fine", &[("of", "two")], || {
            panic!("the gauge is broken")
        })
        .unwrap();
    metrics
        .gauge("broken", "Not fine", &[("of", "one")], || 2.0)
        .unwrap();
    metrics
        .counter("broken_total_total", "Not fine", &[], || {
            panic!("the counter is broken")
        })
        .unwrap();
    metrics
        .state("broken_state", "Not fine", &[], &["on"], || {
            panic!("the state is broken")
        })
        .unwrap();
    metrics
        .load("broken", || panic!("the signal is broken"))
        .unwrap();
    metrics.gauge("after", "Fine", &[], || 3.0).unwrap();

    for round in 1..=2 {
        let samples = reader::openmetrics(metrics.openmetrics().body());
        assert_eq!((samples["before{}"], samples["after{}"]), (1.0, 3.0));
        assert_eq!(samples[r#"broken{of="one"}"#], 2.0);
        assert_eq!(
            samples
                .keys()
                .filter(|series| series.contains("broken"))
                .count(),
            1
        );
        assert_eq!(
            samples["plimsoll_failed_readings_total{}"],
            f64::from(round) * 4.0
        );
    }
    // The registry is not poisoned and accepts more.
    metrics.gauge("later", "Fine", &[], || 4.0).unwrap();
    assert_eq!(metrics.gate("edge").counts().admitted, 0);
    assert_eq!(metrics.health().status(), 200);
}

#[test]
fn law_10_a_reading_that_registers_another_does_not_deadlock() {
    let metrics = Metrics::new();
    let inner = metrics.clone();
    let read = move || {
        _ = inner.gauge("second", "Made while scraping", &[], || 2.0);
        _ = inner.gate("made-while-scraping");
        1.0
    };
    metrics.gauge("first", "Makes another", &[], read).unwrap();
    reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(scrape(&metrics)["second{}"], 2.0);
}

#[test]
fn law_09_an_invalid_metric_is_an_error_that_names_it() {
    let metrics = Metrics::new();
    let gauge = |name: &str, help: &str, labels: &[(&'static str, &str)]| {
        metrics
            .gauge(name, help, labels, || 0.0)
            .unwrap_err()
            .to_string()
    };
    for name in [
        "",
        "7up",
        "käse",
        "a b",
        "a-b",
        "a\n# EOF",
        &"x".repeat(129),
    ] {
        assert!(gauge(name, "h", &[]).starts_with("metric name"), "{name:?}");
    }
    assert!(gauge("dropped_total", "h", &[]).contains("`_total`"));
    let counter = metrics.counter("dropped", "h", &[], || 0).unwrap_err();
    assert_eq!(
        counter,
        InvalidMetric::Suffix {
            name: "dropped".into()
        }
    );
    for name in [
        "plimsoll_load",
        "plimsoll_admitted",
        "plimsoll_latency_seconds_count",
    ] {
        assert!(gauge(name, "h", &[]).contains("is reserved"), "{name}");
    }
    assert!(
        metrics
            .counter("plimsoll_rejected_total", "h", &[], || 0)
            .is_err()
    );
    for help in [
        "",
        "two\nlines",
        "a \"quote\"",
        "back\\slash",
        &"x".repeat(513),
    ] {
        assert!(
            gauge("g", help, &[]).starts_with("help of \"g\""),
            "{help:?}"
        );
    }
    for label in ["", "7", "a:b", "a-b", "__name__"] {
        assert!(
            gauge("g", "h", &[(label, "v")]).contains("labels of \"g\""),
            "{label:?}"
        );
    }
    assert!(gauge("g", "h", &[("a", "1"), ("a", "2")]).contains("got \"a\""));
    assert!(gauge("g", "h", &[("a", &"x".repeat(129))]).contains("128 bytes"));
    let nine = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|label| (label, ""));
    assert!(gauge("g", "h", &nine).contains("at most 8"));
    for states in [&[][..], &["on", "on"], &["x"; 17]] {
        assert!(metrics.state("s", "h", &[], states, || "on").is_err());
    }
    assert!(
        metrics
            .state("s", "h", &[("state", "x")], &["on"], || "on")
            .is_err()
    );
    let scraped = scrape(&metrics);
    assert!(
        scraped.keys().all(|name| name.starts_with("plimsoll_")),
        "no invalid metric was registered: {scraped:?}"
    );
}

#[test]
fn a_series_can_be_registered_once_and_a_family_has_one_type() {
    let metrics = Metrics::new();
    metrics
        .gauge("g", "h", &[("a", "1"), ("b", "2")], || 0.0)
        .unwrap();
    let again = metrics.gauge("g", "h", &[("b", "2"), ("a", "1")], || 0.0);
    assert_eq!(again, Err(InvalidMetric::Duplicate { name: "g".into() }));
    let conflict = Err(InvalidMetric::Conflict { name: "g".into() });
    assert_eq!(metrics.gauge("g", "other help", &[], || 0.0), conflict);
    assert_eq!(metrics.state("g", "h", &[], &["on"], || "on"), conflict);
    assert!(metrics.counter("g_total", "h", &[], || 0).is_err());
    metrics.gauge("g", "h", &[], || 0.0).unwrap();
}

#[test]
fn law_07_the_registry_is_bounded() {
    let metrics = Metrics::new();
    for i in 0..1024 {
        metrics
            .gauge("g", "h", &[("i", &i.to_string())], || 0.0)
            .unwrap();
    }
    let full = metrics
        .gauge("g", "h", &[("i", "1024")], || 0.0)
        .unwrap_err();
    assert_eq!(full.to_string(), "pulled series must be at most 1024");
    for i in 0..64 {
        metrics.load(format!("l{i}"), || 0.0).unwrap();
    }
    let full = metrics.load("l64", || 0.0).unwrap_err();
    assert_eq!(full.to_string(), "load signals must be at most 64");
}

#[test]
fn a_histogram_has_cumulative_buckets_a_sum_and_a_count_in_both_formats() {
    let metrics = Metrics::new();
    let read = || Distribution {
        counts: vec![3, 0, 1, 2],
        sum: 9.25,
    };
    let labels = [("queue", "prices")];
    let bounds = [0.1, 1.0, 2.5];
    metrics
        .histogram(
            "ads_wait_seconds",
            "Time in the queue",
            &labels,
            &bounds,
            read,
        )
        .unwrap();
    let text = "# HELP ads_wait_seconds Time in the queue\n\
        # TYPE ads_wait_seconds histogram\n\
        ads_wait_seconds_sum{queue=\"prices\"} 9.25\n\
        ads_wait_seconds_count{queue=\"prices\"} 6\n\
        ads_wait_seconds_bucket{le=\"0.1\",queue=\"prices\"} 3\n\
        ads_wait_seconds_bucket{le=\"1.0\",queue=\"prices\"} 3\n\
        ads_wait_seconds_bucket{le=\"2.5\",queue=\"prices\"} 4\n\
        ads_wait_seconds_bucket{le=\"+Inf\",queue=\"prices\"} 6\n";
    let classic = metrics.prometheus().into_body();
    assert!(classic.contains(text), "{classic}");
    let openmetrics = metrics.openmetrics().into_body();
    assert!(openmetrics.contains("ads_wait_seconds_count{queue=\"prices\"} 6\n"));
    assert_eq!(scrape(&metrics)["plimsoll_failed_readings_total{}"], 0.0);
}

#[test]
fn a_histogram_without_labels_is_valid_too() {
    let metrics = Metrics::new();
    let read = || Distribution {
        counts: vec![1, 0],
        sum: 0.5,
    };
    metrics
        .histogram("ads_size", "Size", &[], &[1.0], read)
        .unwrap();
    let classic = metrics.prometheus().into_body();
    assert!(
        classic.contains("ads_size_bucket{le=\"1.0\"} 1\n"),
        "{classic}"
    );
    scrape(&metrics);
}

#[test]
fn a_histogram_with_other_counts_or_a_panic_is_left_out_and_counted() {
    let metrics = Metrics::new();
    metrics
        .histogram("ads_a", "A", &[], &[1.0], Distribution::default)
        .unwrap();
    let broken = || -> Distribution { panic!("a broken reading") };
    metrics
        .histogram("ads_b", "B", &[], &[1.0], broken)
        .unwrap();
    let samples = reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(samples["plimsoll_failed_readings_total{}"], 2.0);
    assert!(!samples.keys().any(|name| name.starts_with("ads_")));
}

#[test]
fn bounds_of_a_histogram_are_finite_and_ascend() {
    let metrics = Metrics::new();
    let many: Vec<f64> = (0..65).map(f64::from).collect();
    for bounds in [
        &[][..],
        &[1.0, 1.0],
        &[2.0, 1.0],
        &[f64::INFINITY],
        &[f64::NAN],
        &many,
    ] {
        let invalid = metrics.histogram("ads", "A", &[], bounds, Distribution::default);
        assert!(
            matches!(invalid, Err(InvalidMetric::Bounds { .. })),
            "{bounds:?}"
        );
    }
    let of_le = metrics.histogram("ads", "A", &[("le", "1")], &[1.0], Distribution::default);
    assert!(matches!(of_le, Err(InvalidMetric::Label { .. })));
}

#[test]
fn samples_of_a_histogram_are_no_family_of_their_own() {
    let metrics = Metrics::new();
    metrics.gauge("ads_sum", "Sum", &[], || 0.0).unwrap();
    let clash = metrics.histogram("ads", "A", &[], &[1.0], Distribution::default);
    assert!(matches!(clash, Err(InvalidMetric::Conflict { .. })));
    metrics
        .histogram("bids", "B", &[], &[1.0], Distribution::default)
        .unwrap();
    let clash = metrics.gauge("bids_count", "Bids", &[], || 0.0);
    assert!(matches!(clash, Err(InvalidMetric::Conflict { .. })));
    let again = metrics.gauge("bids", "B", &[], || 0.0);
    assert!(matches!(again, Err(InvalidMetric::Conflict { .. })));
}
