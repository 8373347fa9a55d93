//! The quantiles of the recent durations: how recent, and which quantile.

use std::time::Duration;

use plimsoll_metrics::Metrics;
use tokio::time::advance;

use crate::{
    reader,
    support::{Play, millis, run},
};

/// The exported quantile of gate `g`, in milliseconds.
fn quantile(metrics: &Metrics, family: &str, quantile: &str) -> f64 {
    let samples = reader::openmetrics(metrics.openmetrics().body());
    1000.0
        * samples[&format!(r#"plimsoll_recent_{family}_seconds{{gate="g",quantile="{quantile}"}}"#)]
}

#[tokio::test(start_paused = true)]
async fn a_duration_stays_recent_for_one_to_two_minutes() {
    for into_the_window in [0, 1, 30, 59] {
        for family in ["latency", "wait"] {
            let metrics = Metrics::new();
            let gate = metrics.gate("g");
            // The first scrape opens the window.
            assert!(quantile(&metrics, family, "0.5").is_nan());
            advance(Duration::from_secs(into_the_window)).await;
            run(&gate, Play::Queue(millis(500))).await;
            let mut seconds = 0;
            while !quantile(&metrics, family, "0.5").is_nan() {
                advance(Duration::from_secs(1)).await;
                seconds += 1;
                assert!(seconds <= 120, "{family}: seen for more than two minutes");
            }
            assert!(seconds >= 60, "{family}: seen for {seconds} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_exported_quantile_is_its_own() {
    let metrics = Metrics::new();
    let gate = metrics.gate("g");
    // Of 1,000 durations in order, the 500th is 2 ms, the 990th 100 ms and the 999th 800 ms. A
    // request that queued runs in no time, so half of all latencies are zero.
    for (count, time) in [(985, 2), (10, 100), (5, 800)] {
        for _ in 0..count {
            run(&gate, Play::Answer(200, millis(time))).await;
            run(&gate, Play::Queue(millis(2 * time))).await;
        }
    }
    for (label, latency, wait) in [
        ("0.5", 0.0, 4.0),
        ("0.99", 2.0, 200.0),
        ("0.999", 800.0, 1600.0),
    ] {
        for (family, expected) in [("latency", latency), ("wait", wait)] {
            let seen = quantile(&metrics, family, label);
            assert!(
                (expected..=expected * 1.008 + 0.001).contains(&seen),
                "{family} {label}: {seen}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_scraping_is_not_recent() {
    let metrics = Metrics::new();
    let gate = metrics.gate("g");
    for family in ["latency", "wait"] {
        _ = quantile(&metrics, family, "0.5");
        run(&gate, Play::Queue(millis(500))).await;
        advance(Duration::from_secs(3600)).await;
        // The duration is an hour old, or as new as the scrape: nothing shows which.
        assert!(quantile(&metrics, family, "0.5").is_nan(), "{family}");
        // From here on, durations have an age again.
        advance(Duration::from_secs(15)).await;
        run(&gate, Play::Queue(millis(500))).await;
        assert!(!quantile(&metrics, family, "0.5").is_nan(), "{family}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_before_the_first_scrape_is_recent_for_two_minutes() {
    for (secs, recent) in [(119, true), (121, false)] {
        let metrics = Metrics::new();
        run(&metrics.gate("g"), Play::Answer(200, millis(2))).await;
        advance(Duration::from_secs(secs)).await;
        assert_eq!(!quantile(&metrics, "latency", "0.5").is_nan(), recent);
    }
}
