//! Quantiles against an exact model, and the windows of the recent ones.

use std::time::Duration;

use plimsoll_core::{Class, Observe, Outcome};
use plimsoll_metrics::{GateMetrics, Metrics};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use crate::{
    reader,
    support::{Play, millis, run},
};

fn record(gate: &GateMetrics, latency: Duration) {
    gate.finished(
        "edge",
        &Outcome::new(Class::Success, latency, Instant::now()),
    );
}

/// The nearest-rank quantile of sorted values.
fn exact(sorted: &[u64], quantile: f64) -> u64 {
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank - 1]
}

proptest! {
    #[test]
    fn quantiles_are_exact_up_to_the_error_of_the_histogram(
        mut nanos in prop::collection::vec((0u32..40, any::<u64>()).prop_map(|(bits, n)| n % (1 << bits)), 1..400),
        quantile in prop::sample::select(vec![0.0, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0]),
    ) {
        let gate = Metrics::new().gate("g");
        for n in &nanos {
            record(&gate, Duration::from_nanos(*n));
        }
        let seen = gate.latency();
        prop_assert_eq!(seen.count(), nanos.len() as u64);
        prop_assert_eq!(seen.sum(), Duration::from_nanos(nanos.iter().sum()));
        nanos.sort_unstable();
        let (exact, got) = (exact(&nanos, quantile), seen.quantile(quantile).unwrap().as_nanos() as u64);
        prop_assert!(exact <= got && got <= exact + (exact / 128).max(15), "{quantile}: {got} for {exact}");
        let of_histogram = seen.histogram().value_at_quantile(quantile.max(f64::MIN_POSITIVE));
        prop_assert_eq!(got, of_histogram);
    }

    #[test]
    fn a_difference_of_snapshots_has_the_durations_between_them(
        before in prop::collection::vec(0u64..5_000_000_000, 0..50),
        after in prop::collection::vec(0u64..5_000_000_000, 0..50),
    ) {
        let metrics = Metrics::new();
        let (gate, fresh) = (metrics.gate("a"), metrics.gate("b"));
        for n in &before {
            record(&gate, Duration::from_nanos(*n));
        }
        let mut start = gate.latency();
        for n in &after {
            record(&gate, Duration::from_nanos(*n));
            record(&fresh, Duration::from_nanos(*n));
        }
        prop_assert_eq!(gate.latency().since(&start), fresh.latency());
        start.merge(&fresh.latency());
        prop_assert_eq!(start, gate.latency());
    }
}

#[test]
fn nothing_recorded_has_no_quantiles() {
    let none = Metrics::new().gate("g").latency();
    assert_eq!(
        (none.count(), none.mean(), none.quantile(0.5)),
        (0, None, None)
    );
}

#[test]
fn a_quantile_out_of_range_is_none() {
    let gate = Metrics::new().gate("g");
    record(&gate, millis(1));
    for quantile in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(gate.latency().quantile(quantile), None);
    }
}

#[test]
fn a_wait_beyond_the_range_counts_as_the_longest() {
    let gate = Metrics::new().gate("g");
    gate.abandoned("edge", Duration::from_secs(86_400));
    gate.abandoned("edge", Duration::MAX);
    let seen = gate.waits();
    assert_eq!(seen.count(), 2);
    assert!(seen.quantile(1.0).unwrap() > Duration::from_mins(18));
}

#[test]
fn cancelled_calls_and_overloaded_answers_do_not_lower_the_latency() {
    let gate = Metrics::new().gate("g");
    for class in [Class::Cancelled, Class::Overloaded] {
        gate.finished("edge", &Outcome::new(class, millis(1), Instant::now()));
    }
    assert_eq!(gate.latency().count(), 0);
    for class in [Class::Success, Class::Failure, Class::Ignored] {
        gate.finished("edge", &Outcome::new(class, millis(1), Instant::now()));
    }
    assert_eq!(gate.latency().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn recent_quantiles_leave_out_durations_older_than_two_minutes() {
    let metrics = Metrics::new();
    let gate = metrics.gate("g");
    let p50 = || {
        let samples = reader::openmetrics(metrics.openmetrics().body());
        samples[r#"plimsoll_recent_latency_seconds{gate="g",quantile="0.5"}"#]
    };
    run(&gate, Play::Answer(200, millis(800))).await;
    for _ in 0..6 {
        let seen = p50();
        assert!((0.8..0.81).contains(&seen), "{seen}");
        // Two scrapes, one right after the other, give the same value.
        assert_eq!(p50(), seen);
        advance(Duration::from_secs(10)).await;
    }
    // No call for a minute: the slow one leaves the window, and a fast one replaces it.
    _ = p50();
    advance(Duration::from_secs(60)).await;
    run(&gate, Play::Answer(200, millis(2))).await;
    let seen = p50();
    assert!((0.002..0.00202).contains(&seen), "{seen}");
    advance(Duration::from_secs(120)).await;
    _ = p50();
    advance(Duration::from_secs(60)).await;
    assert!(p50().is_nan());
    // The histogram keeps all.
    assert_eq!(gate.latency().count(), 2);
}
