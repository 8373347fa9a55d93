//! Gradient2 against its reference vectors, and its corrections.

use std::time::Duration;

use plimsoll_concurrency::{Algorithm, Gradient2, Gradient2Builder, LimitReason};

use crate::published::{millis, window, with_drops};

/// Compares to as many digits as the reference prints.
fn is_about(gradient: &Gradient2, expected: f64) {
    let estimate = gradient.estimate();
    assert!(
        (estimate - expected).abs() < 0.000_05,
        "{estimate}, not {expected}"
    );
}

#[test]
fn the_published_form_matches_its_reference_vector() {
    let mut gradient = Gradient2::as_published();
    for expected in [20.8, 21.6, 22.4, 23.2, 24.0] {
        let change = gradient.update(&millis(10, 100));
        is_about(&gradient, expected);
        assert_eq!(change.limit, expected as u32, "rounded down");
    }
    let idle = gradient.update(&millis(10, 9));
    is_about(&gradient, 24.0);
    assert_eq!((idle.limit, idle.reason), (24, LimitReason::Idle));

    gradient.update(&millis(30, 100));
    is_about(&gradient, 23.0857);
    let long = gradient.long_latency().as_secs_f64();
    assert!((long - 0.012_857).abs() < 1e-6, "{long}");
    for expected in [22.7314, 22.7737, 23.1182] {
        gradient.update(&millis(30, 100));
        is_about(&gradient, expected);
    }
    for expected in [21.6064, 20.2458, 20.0] {
        gradient.update(&millis(100, 100));
        is_about(&gradient, expected);
    }
}

/// A gradient after windows without load, with calls of `latency` milliseconds, and a limit of
/// `limit`.
fn without_load(gradient: Gradient2Builder, latency: u64, limit: u32) -> Gradient2 {
    let mut gradient = gradient.limits(limit, 1..=100_000).build().unwrap();
    for _ in 0..20 {
        gradient.update(&millis(latency, limit / 3));
    }
    gradient
}

#[test]
fn the_published_form_rises_above_its_tolerance_and_the_corrected_does_not() {
    // 16.7 ms against 10 ms is a gradient of 0.9, whose fixed point is 4 / (1 - 0.9) = 40.
    let mut gradient = without_load(Gradient2Builder::as_published(), 1000, 20);
    for _ in 0..25 {
        gradient.update(&millis(1667, 100));
    }
    assert!(gradient.estimate() > 25.0, "it rises: {gradient:?}");

    let mut gradient = without_load(Gradient2::builder(), 1000, 20);
    let mut limit = gradient.estimate();
    for _ in 0..25 {
        let change = gradient.update(&millis(1667, 100));
        assert!(gradient.estimate() < limit);
        assert_eq!(change.reason, LimitReason::Latency);
        limit = gradient.estimate();
    }
}

#[test]
fn drops_lower_the_corrected_limit_and_not_the_published() {
    let mut gradient = without_load(Gradient2Builder::as_published(), 10, 100);
    gradient.update(&with_drops(millis(10, 100), 100));
    assert!(gradient.estimate() > 100.0);
    let mut gradient = without_load(Gradient2::builder(), 10, 100);
    let change = gradient.update(&with_drops(millis(10, 100), 100));
    assert_eq!((change.limit, change.reason), (90, LimitReason::Drops));
}

#[test]
fn the_published_form_takes_a_tripled_latency_as_normal_after_208_windows() {
    let mut gradient = without_load(Gradient2Builder::as_published(), 10, 100);
    let normal =
        (1..1000).find(|_| gradient.update(&millis(30, 1000)).reason == LimitReason::Growth);
    assert!((205..=211).contains(&normal.unwrap()), "{normal:?}");
}

/// Returns the limits for a service of `slots` slots with calls of `micros`, always full.
fn saturated(gradient: &mut Gradient2, slots: u32, micros: u64, windows: u32) -> Vec<u32> {
    let mut limit = gradient.estimate() as u32;
    (0..windows)
        .map(|_| {
            let latency = (u64::from(limit) * micros / u64::from(slots)).max(micros);
            limit = gradient.update(&window(latency, limit)).limit;
            limit
        })
        .collect()
}

#[test]
fn the_corrected_form_stays_near_the_capacity_under_a_day_of_saturation() {
    for slots in [4, 50, 500, 5000] {
        let mut gradient = Gradient2::new();
        let limits = saturated(&mut gradient, slots, 10_000, 100_000);
        let settled = &limits[2000..];
        let highest = *settled.iter().max().unwrap();
        assert!(highest <= 4 * slots, "{highest} at {slots} slots");
        let full = settled.iter().filter(|&&limit| limit >= slots).count();
        let share = full as f64 / settled.len() as f64;
        assert!(share > 0.94, "{share} of windows at {slots} slots");
    }
}

#[test]
fn a_slower_service_becomes_the_baseline_after_some_probes() {
    let mut gradient = Gradient2::new();
    saturated(&mut gradient, 50, 10_000, 1000);
    let limits = saturated(&mut gradient, 50, 30_000, 1000);
    assert!(limits[999] >= 37, "{limits:?}");
    let long = gradient.long_latency();
    assert!(long > Duration::from_millis(25) && long < Duration::from_millis(40));
}
