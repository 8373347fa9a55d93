//! Any sequence of windows, possible or not.

use std::time::Duration;

use plimsoll_concurrency::{Adaptive, Algorithm, Window};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::published;

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        1 => Just(Duration::from_nanos(1)),
        6 => (1..1_000_000_u64).prop_map(Duration::from_micros),
        1 => (1..100_000_u64).prop_map(Duration::from_secs),
        1 => Just(Duration::from_nanos(u64::MAX)),
    ]
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => Just(0),
        6 => 0..10_000_u64,
        1 => Just(u64::MAX),
    ]
}

fn any_mean() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0..1e4,
        1 => Just(0.0),
        1 => prop::num::f64::ANY,
        1 => prop::sample::select(vec![f64::INFINITY, f64::NAN]),
    ]
}

/// Windows that follow each other.
fn any_windows() -> impl Strategy<Value = Vec<Window>> {
    let window = (
        (any_duration(), any_duration(), any_duration()),
        (any_count(), any_count(), any_count(), any_count()),
        (any::<u32>(), any_mean(), any::<u32>()),
        prop::option::of(any_duration()),
    );
    let window = window.prop_map(
        |((time, latency, deviation), counts, (most, mean, limit), at_rest)| {
            let (answered, dropped, without_slot, refused) = counts;
            let window = Window {
                latency,
                deviation,
                answered,
                dropped,
                without_slot,
                rejected: refused,
                max_in_flight: most,
                mean_in_flight: mean,
                limit,
                route_latency: at_rest,
                ..published::window(1, 1)
            };
            // A hundred thousand years would be more than an instant can be.
            (time.min(Duration::from_secs(1_000_000)), window)
        },
    );
    prop::collection::vec(window, 1..100).prop_map(one_after_the_other)
}

fn one_after_the_other(windows: Vec<(Duration, Window)>) -> Vec<Window> {
    let mut now = Instant::now();
    let follow = windows.into_iter().map(|(time, window)| {
        let began = now;
        now += time;
        Window {
            began,
            ended: now,
            ..window
        }
    });
    follow.collect()
}

/// As any, of calls that there could be.
fn possible_windows() -> impl Strategy<Value = Vec<Window>> {
    let window = (
        (1..10_000_u32, 10..1_000_000_u64, 0.0..3.0),
        (1..10_000_u64, 0..1000_u64, 0..10_000_u64, 0.0..1.0),
        (1..10_000_u32, 0.01..1.0, any::<bool>()),
        prop::option::of(10..1_000_000_u64),
    );
    let window = window.prop_map(
        |((millis, micros, cv), calls, (limit, used, limited), at_rest): (
            _,
            _,
            (u32, f64, bool),
            Option<u64>,
        )| {
            let (answered, dropped, without_slot, refused) = calls;
            let latency = Duration::from_micros(micros);
            let without_slot = if limited { without_slot } else { 0 };
            let window = Window {
                latency,
                deviation: latency.mul_f64(cv),
                answered,
                dropped,
                without_slot,
                rejected: (without_slot as f64 * refused) as u64,
                max_in_flight: limit,
                mean_in_flight: (f64::from(limit) * used).max(1.0),
                limit,
                route_latency: at_rest.map(Duration::from_micros),
                ..published::window(1, 1)
            };
            (millis * crate::MS, window)
        },
    );
    prop::collection::vec(window, 1..60).prop_map(one_after_the_other)
}

fn is_valid(algorithm: &mut impl Algorithm, window: &Window) -> Result<u32, TestCaseError> {
    let change = algorithm.update(window);
    prop_assert!((1..=1 << 20).contains(&change.limit), "{change:?}");
    if let Some((len, wait)) = change.queue {
        prop_assert!((1..=1 << 20).contains(&len), "{change:?}");
        let longest = Duration::from_secs(3600);
        prop_assert!(
            wait >= Duration::from_micros(1) && wait <= longest,
            "{change:?}"
        );
    }
    let size = algorithm.window();
    prop_assert!(size.samples >= 1, "{size:?}");
    prop_assert!(size.time >= Duration::from_millis(1), "{size:?}");
    Ok(change.limit)
}

proptest! {
    #[test]
    fn no_window_brings_the_limit_out_of_its_bounds_or_the_algorithm_down(windows in any_windows()) {
        fastrand::seed(1); // the intervals between probes are random
        let mut adaptive = Adaptive::new();
        prop_assert!(adaptive.initial() >= 1);
        for window in &windows {
            is_valid(&mut adaptive, window)?;
        }
    }

    #[test]
    fn no_limit_is_stuck_at_the_bottom_once_the_service_is_well(
        windows in possible_windows(),
        micros in 100..100_000_u64,
    ) {
        fastrand::seed(1); // the intervals between probes are random
        let mut adaptive = Adaptive::new();
        let mut limit = adaptive.initial();
        let mut now = Instant::now();
        for window in &windows {
            limit = is_valid(&mut adaptive, window)?;
            now = window.ended;
        }
        // Forty workers that are always busy; half of the requests are rejected.
        let latency = Duration::from_micros(micros);
        let mut highest = 0;
        for number in 0..4000 {
            let busy = f64::from(limit.min(40));
            let took = latency.mul_f64(f64::from(limit.max(40)) / 40.0);
            let size = adaptive.window();
            let time = size.time.max(latency.mul_f64(f64::from(size.samples) / busy)).min(Duration::from_secs(100_000));
            let answered = (time.as_secs_f64() / latency.as_secs_f64() * busy) as u64 + 1;
            let window = Window {
                began: now,
                ended: now + time,
                answered,
                latency: took,
                deviation: took / 10,
                max_in_flight: limit,
                mean_in_flight: limit.into(),
                limit,
                without_slot: answered,
                rejected: answered,
                ..published::window(1, 1)
            };
            now += time;
            limit = is_valid(&mut adaptive, &window)?;
            if number >= 3500 {
                highest = highest.max(limit);
            }
        }
        prop_assert!(highest >= 30, "{highest}: {adaptive:?}");
    }
}
