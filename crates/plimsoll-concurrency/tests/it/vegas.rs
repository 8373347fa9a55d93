//! Vegas against its reference vectors, and its corrections.

use std::time::Duration;

use plimsoll_concurrency::{Algorithm, LimitReason, Vegas, VegasBuilder};

use crate::published::{millis, with_drops};

/// Returns the limits after windows of (milliseconds, in flight).
fn limits(mut vegas: Vegas, windows: &[(u64, u32)]) -> Vec<u32> {
    windows
        .iter()
        .map(|&(latency, in_flight)| vegas.update(&millis(latency, in_flight)).limit)
        .collect()
}

fn small() -> Vegas {
    VegasBuilder::as_published()
        .queue_band(3, 6)
        .limits(10, 1..=20)
        .build()
        .unwrap()
}

#[test]
fn the_limit_grows_without_a_queue_falls_with_a_long_one_and_keeps_a_short_one() {
    assert_eq!(limits(small(), &[(10, 10), (10, 11)]), [10, 16]);
    assert_eq!(limits(small(), &[(10, 10), (50, 11)]), [10, 9]);
    assert_eq!(limits(small(), &[(10, 10), (14, 14)]), [10, 10]);
}

#[test]
fn steps_scale_with_the_logarithm() {
    let large = VegasBuilder::as_published()
        .limits(10_000, 1..=20_000)
        .build()
        .unwrap();
    assert_eq!(
        limits(large, &[(10_000, 5000), (10_000, 6000)]),
        [10_000, 10_024]
    );
}

#[test]
fn a_backoff_that_is_set_is_smoothed() {
    let vegas = VegasBuilder::as_published()
        .limits(100, 1..=200)
        .backoff(0.5)
        .smoothing(0.5)
        .build()
        .unwrap();
    assert_eq!(
        limits(vegas, &[(10, 100), (20, 100), (20, 100)]),
        [100, 75, 56]
    );
}

#[test]
fn always_full_with_the_defaults() {
    let latencies = [10, 10, 10, 10, 10, 20, 20, 20, 20, 13, 13, 13];
    let expected = [20, 26, 32, 38, 44, 43, 42, 41, 40, 39, 38, 37];
    let windows = latencies.map(|latency| (latency, 100));
    assert_eq!(limits(Vegas::as_published(), &windows), expected);
}

#[test]
fn any_drop_lowers_the_published_limit_by_a_step_used_or_not() {
    let mut vegas = Vegas::as_published();
    vegas.update(&millis(10, 20));
    let change = vegas.update(&with_drops(millis(10, 1), 1));
    assert_eq!((change.limit, change.reason), (19, LimitReason::Drops));
}

/// The latency in microseconds of a service with `slots` slots and calls of `millis`, whose queue
/// grows with the limit.
fn latency(slots: u32, millis: u64, limit: u32) -> u64 {
    (u64::from(limit) * 1000 * millis / u64::from(slots)).max(1000 * millis)
}

/// Returns the limits over time for such a service, always full.
fn saturated(mut vegas: Vegas, slots: u32, millis: u64, windows: u32) -> (Vegas, Vec<u32>) {
    let mut limit = vegas.initial();
    let limits = (0..windows)
        .map(|_| {
            let micros = latency(slots, millis, limit);
            limit = vegas.update(&crate::published::window(micros, limit)).limit;
            limit
        })
        .collect();
    (vegas, limits)
}

#[test]
fn the_published_form_takes_its_own_queue_as_baseline_and_the_corrected_does_not() {
    fastrand::seed(1);
    let vegas = VegasBuilder::as_published()
        .probe_multiplier(1)
        .build()
        .unwrap();
    let (vegas, _) = saturated(vegas, 50, 10, 20_000);
    assert!(
        vegas.no_load_latency() > Duration::from_millis(20),
        "each probe adds a queue"
    );
    let (vegas, limits) = saturated(Vegas::new(), 50, 10, 20_000);
    assert_eq!(vegas.no_load_latency(), Duration::from_millis(10));
    let highest = limits.into_iter().max().unwrap();
    assert!((50..=70).contains(&highest), "{highest}");
}

#[test]
fn the_corrected_form_loses_little_to_its_probes() {
    fastrand::seed(1);
    for slots in [4, 50, 500, 5000] {
        let (_, limits) = saturated(Vegas::new(), slots, 10, 4000);
        let full = limits[1000..].iter().filter(|&&limit| limit >= slots);
        let share = full.count() as f64 / 3000.0;
        assert!(share > 0.94, "{share} of windows at {slots} slots");
    }
}

#[test]
fn a_slower_service_becomes_the_baseline_after_some_probes() {
    fastrand::seed(1);
    let (vegas, limits) = saturated(Vegas::new(), 50, 10, 500);
    let (vegas, after) = saturated(vegas, 50, 30, 500);
    assert!(limits[499] >= 37 && after[499] >= 37, "{after:?}");
    assert_eq!(vegas.no_load_latency(), Duration::from_millis(30));
}

#[test]
fn a_run_of_light_calls_does_not_hold_the_corrected_limit_down() {
    fastrand::seed(1);
    let mut vegas = Vegas::new();
    for _ in 0..20 {
        vegas.update(&millis(1, 200));
    }
    let (_, limits) = saturated(vegas, 50, 10, 300);
    assert!(limits[299] >= 37, "{limits:?}");
}

#[test]
fn the_corrected_form_cuts_at_once_to_its_target_queue() {
    let mut vegas = Vegas::builder().limits(200, 1..=1000).build().unwrap();
    vegas.update(&millis(10, 200));
    let before = vegas.estimate();
    let change = vegas.update(&millis(20, 200));
    assert_eq!(change.reason, LimitReason::Latency);
    assert!(vegas.estimate() < 0.7 * before, "{}", vegas.estimate());
}
