//! Properties of all published algorithms, under any sequence of windows.

use std::{error::Error, time::Duration};

use plimsoll_concurrency::{
    Adaptive, Aimd, AimdBuilder, Algorithm, Gradient2, Gradient2Builder, InvalidLimits,
    LimitReason, Vegas, VegasBuilder, Window, WindowSize,
};
use proptest::prelude::*;
use tokio::time::Instant;

/// A window of calls with a mean latency of `micros` and `in_flight` calls at once, without drops.
pub(crate) fn window(micros: u64, in_flight: u32) -> Window {
    let now = Instant::now();
    Window {
        route_latency: None,
        deadline_left: None,
        cancelled: 0,
        cancelled_work: 0.0,
        late: 0.0,
        began: now,
        ended: now + Duration::from_secs(1),
        silent: Duration::ZERO,
        answered: 100,
        dropped: 0,
        latency: Duration::from_micros(micros),
        deviation: Duration::ZERO,
        max_in_flight: in_flight,
        mean_in_flight: in_flight.into(),
        limit: in_flight,
        rejected: 0,
        without_slot: 0,
    }
}

pub(crate) fn millis(millis: u64, in_flight: u32) -> Window {
    window(1000 * millis, in_flight)
}

pub(crate) fn with_drops(window: Window, dropped: u64) -> Window {
    Window { dropped, ..window }
}

/// Each form of each algorithm, with the bounds of its limit.
fn all() -> Vec<(Box<dyn Algorithm>, u32, u32)> {
    vec![
        (
            Box::new(Aimd::builder().limits(5, 1..=90).build().unwrap()),
            1,
            90,
        ),
        (
            Box::new(
                AimdBuilder::as_published()
                    .limits(5, 1..=90)
                    .build()
                    .unwrap(),
            ),
            1,
            90,
        ),
        (Box::new(Aimd::as_published()), 20, 200),
        (
            Box::new(Vegas::builder().limits(5, 1..=90).build().unwrap()),
            1,
            90,
        ),
        (
            Box::new(
                VegasBuilder::as_published()
                    .limits(5, 1..=90)
                    .build()
                    .unwrap(),
            ),
            1,
            90,
        ),
        (
            Box::new(Gradient2::builder().limits(5, 1..=90).build().unwrap()),
            1,
            90,
        ),
        (
            Box::new(
                Gradient2Builder::as_published()
                    .limits(5, 1..=90)
                    .build()
                    .unwrap(),
            ),
            1,
            90,
        ),
        (Box::new(Gradient2::as_published()), 20, 200),
    ]
}

fn any_window() -> impl Strategy<Value = Window> {
    let micros = prop_oneof![0..20_u64, 1000..200_000_u64, Just(u64::from(u32::MAX))];
    let dropped = prop_oneof![3 => Just(0), 1 => 0..200_u64, 1 => Just(u64::MAX)];
    let answered = prop_oneof![3 => 1..500_u64, 1 => Just(0)];
    (micros, 0..300_u32, answered, dropped).prop_map(|(micros, in_flight, answered, dropped)| {
        let mut window = with_drops(window(micros, in_flight), dropped);
        window.answered = answered;
        if answered == 0 {
            window.latency = Duration::ZERO;
        }
        window
    })
}

proptest! {
    #[test]
    fn limits_stay_in_their_bounds(windows in proptest::collection::vec(any_window(), 1..200)) {
        for (mut algorithm, min, max) in all() {
            for window in &windows {
                let limit = algorithm.update(window).limit;
                prop_assert!((min..=max).contains(&limit), "{limit}: {algorithm:?}");
                let size = algorithm.window();
                prop_assert!(size.samples == 10 && size.time >= Duration::from_millis(100));
                prop_assert!(size.time <= Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow(
        before in proptest::collection::vec(any_window(), 0..100),
        micros in 1..100_000_u64,
    ) {
        for (mut algorithm, ..) in all() {
            let mut limit = algorithm.initial();
            for window in &before {
                limit = algorithm.update(window).limit;
            }
            // A probe lowers the limit for two windows.
            if algorithm.update(&window(micros, 0)).reason == LimitReason::Probe {
                algorithm.update(&window(micros, 0));
                limit = algorithm.update(&window(micros, 0)).limit;
            }
            for _ in 0..100 {
                let now = algorithm.update(&window(micros, (limit - 1) / 2)).limit;
                prop_assert!(now <= limit, "{now} after {limit}: {algorithm:?}");
            }
        }
    }

    #[test]
    fn no_limit_is_stuck_once_the_service_has_recovered(
        before in proptest::collection::vec(any_window(), 0..300),
        micros in 100..100_000_u64,
    ) {
        for (mut algorithm, ..) in all() {
            let mut limit = algorithm.initial();
            for window in &before {
                limit = algorithm.update(window).limit;
            }
            let mut highest = 0;
            for _ in 0..6000 {
                limit = algorithm.update(&window(micros, limit)).limit;
                highest = highest.max(limit);
            }
            prop_assert!(highest >= 20, "{highest}: {algorithm:?}");
        }
    }
}

#[test]
fn drops_lower_a_limit_to_its_minimum_and_it_recovers() {
    fastrand::seed(1);
    let corrected: [Box<dyn Algorithm>; 3] = [
        Box::new(Aimd::new()),
        Box::new(Vegas::new()),
        Box::new(Gradient2::new()),
    ];
    for mut algorithm in corrected {
        let mut change = algorithm.update(&millis(10, 20));
        for _ in 0..100 {
            let mut all_lost = with_drops(window(0, change.limit), 100);
            all_lost.answered = 0;
            change = algorithm.update(&all_lost);
        }
        assert_eq!((change.limit, change.reason), (1, LimitReason::Drops));
        for _ in 0..100 {
            change = algorithm.update(&millis(10, change.limit));
        }
        assert!(change.limit >= 50, "{algorithm:?}");
    }
}

#[test]
fn one_cancelled_call_in_a_hundred_is_not_an_overload() {
    fastrand::seed(1);
    let corrected: [Box<dyn Algorithm>; 3] = [
        Box::new(Aimd::new()),
        Box::new(Vegas::new()),
        Box::new(Gradient2::new()),
    ];
    for mut algorithm in corrected {
        let mut limit = 20;
        for _ in 0..20 {
            limit = algorithm.update(&with_drops(millis(10, limit), 1)).limit;
        }
        assert!(limit > 20, "{algorithm:?}");
    }
    let mut aimd = AimdBuilder::as_published()
        .limits(30, 20..=200)
        .build()
        .unwrap();
    for limit in [27, 24, 21, 20, 20] {
        assert_eq!(aimd.update(&with_drops(millis(10, 27), 1)).limit, limit);
    }
}

#[test]
fn windows_of_the_corrected_forms_are_as_long_as_two_calls() {
    fastrand::seed(1);
    let corrected: [Box<dyn Algorithm>; 3] = [
        Box::new(Aimd::new()),
        Box::new(Vegas::new()),
        Box::new(Gradient2::new()),
    ];
    for mut algorithm in corrected {
        for (latency, time) in [(10, 100), (200, 400), (5000, 1000)] {
            algorithm.update(&millis(latency, 20));
            assert_eq!(algorithm.window().time, Duration::from_millis(time));
        }
    }
}

fn error<T>(built: Result<T, impl Error>) -> String {
    built.err().expect("out of bounds").to_string()
}

#[test]
fn law_09_bad_bounds_and_windows_of_algorithms_name_field_and_bound() {
    assert_eq!(
        error(Vegas::builder().limits(5, 6..=9).build()),
        "limits must be 1 <= min <= initial <= max <= 2^30, got initial = 5, min = 6, max = 9"
    );
    for (initial, within) in [(0, 0..=9), (10, 1..=9), (1, 1..=(1 << 30) + 1)] {
        let limits = InvalidLimits {
            initial,
            min: *within.start(),
            max: *within.end(),
        };
        let aimd = Aimd::builder().limits(initial, within.clone()).build();
        assert_eq!(aimd.unwrap_err(), limits.into());
        let gradient2 = Gradient2::builder().limits(initial, within.clone()).build();
        assert_eq!(gradient2.unwrap_err(), limits.into());
        let adaptive = Adaptive::builder().limits(initial, within).build();
        assert_eq!(adaptive.unwrap_err(), limits.into());
    }
    assert!(Aimd::builder().limits(1, 1..=1 << 30).build().is_ok());

    let size = |millis, samples| WindowSize {
        time: Duration::from_millis(millis),
        samples,
    };
    assert!(Vegas::builder().windows(size(1, 1)).build().is_ok());
    assert_eq!(
        error(Vegas::builder().windows(size(0, 1)).build()),
        "window time must be 1 millisecond to 1 hour, got 0ns"
    );
    assert!(Aimd::builder().windows(size(3_600_001, 1)).build().is_err());
    assert_eq!(
        error(Gradient2::builder().windows(size(1, 0)).build()),
        "window samples must be in 1..=2^20, got 0"
    );
}

#[test]
fn law_09_bad_settings_of_algorithms_name_field_and_bound() {
    let aimd = Aimd::builder;
    assert_eq!(
        error(aimd().backoff(1.0).build()),
        "backoff must be in [0.5, 1), got 1"
    );
    assert!(aimd().backoff(f64::NAN).build().is_err() && aimd().backoff(0.5).build().is_ok());
    assert_eq!(
        error(aimd().timeout(Duration::ZERO).build()),
        "timeout must be 1 nanosecond to 1 hour, got 0ns"
    );

    let vegas = Vegas::builder;
    assert_eq!(
        error(vegas().backoff(0.49).build()),
        "backoff must be in [0.5, 1), got 0.49"
    );
    assert_eq!(
        error(vegas().smoothing(0.0).build()),
        "smoothing must be in (0, 1], got 0"
    );
    assert_eq!(
        error(vegas().queue_band(4, 3).build()),
        "queue_band must be 1 <= alpha <= beta <= 1000, got alpha = 4, beta = 3"
    );
    assert_eq!(
        error(vegas().probe_multiplier(0).build()),
        "probe_multiplier must be in 1..=2^20, got 0"
    );

    let gradient2 = Gradient2::builder;
    assert!(gradient2().smoothing(1.01).build().is_err());
    assert!(gradient2().smoothing(1.0).build().is_ok());
    assert_eq!(
        error(gradient2().tolerance(0.9).build()),
        "tolerance must be in [1, 100], got 0.9"
    );
    assert_eq!(
        error(gradient2().queue_allowance(0).build()),
        "queue_allowance must be in 1..=2^20, got 0"
    );
    assert_eq!(
        error(gradient2().long_window(9).build()),
        "long_window must be in 10..=2^20, got 9"
    );

    let adaptive = Adaptive::builder;
    assert_eq!(
        error(adaptive().objective(Duration::from_secs(3601)).build()),
        "objective must be 1 nanosecond to 1 hour, got 3601s"
    );
    assert_eq!(
        error(adaptive().no_load_latency(Duration::ZERO).build()),
        "no_load_latency must be 1 nanosecond to 1 hour, got 0ns"
    );
}

#[test]
fn law_09_bad_bounds_of_an_algorithm_in_use_change_nothing() {
    for (mut algorithm, min, max) in all() {
        assert!(algorithm.set_bounds(0..=8).is_err());
        assert_eq!(algorithm.bounds(), min..=max);
        algorithm.set_bounds(7..=8).unwrap();
        assert_eq!(algorithm.bounds(), 7..=8);
    }
}

/// A window of a service of `slots` slots that is always full, with calls of 10 ms on average,
/// log-normal with `sigma`.
fn noisy(slots: u32, limit: u32, time: Duration, sigma: f64, random: &mut fastrand::Rng) -> Window {
    let queue = 0.010 * (f64::from(limit) / f64::from(slots) - 1.0).max(0.0);
    let busy = f64::from(limit.min(slots));
    let samples = ((busy / 0.010 * time.as_secs_f64()) as u32).clamp(10, 200);
    let latencies: Vec<f64> = (0..samples)
        .map(|_| {
            let (one, two) = (1.0 - random.f64(), random.f64());
            let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos();
            queue + 0.010 * (sigma * normal - sigma * sigma / 2.0).exp()
        })
        .collect();
    let count = f64::from(samples);
    let mean = latencies.iter().sum::<f64>() / count;
    let squares: f64 = latencies.iter().map(|of| (of - mean).powi(2)).sum();
    let mut window = window(0, limit);
    window.answered = u64::from(samples);
    window.latency = Duration::from_secs_f64(mean);
    window.deviation = Duration::from_secs_f64((squares / count).sqrt());
    window
}

#[test]
fn the_corrected_forms_find_the_capacity_of_small_and_large_services_despite_noise() {
    // The intervals between probes are random.
    fastrand::seed(1);
    let mut random = fastrand::Rng::with_seed(1);
    for slots in [4, 50, 500, 5000] {
        for sigma in [0.0, 0.3, 1.0] {
            let corrected: [Box<dyn Algorithm>; 2] =
                [Box::new(Vegas::new()), Box::new(Gradient2::new())];
            for mut algorithm in corrected {
                let mut limit = algorithm.initial();
                let (mut used, mut allowed) = (0.0, 0.0);
                for step in 0..2500 {
                    let time = algorithm.window().time;
                    let window = noisy(slots, limit, time, sigma, &mut random);
                    limit = algorithm.update(&window).limit;
                    if step >= 1000 {
                        used += f64::from(limit.min(slots)) / f64::from(slots) / 1500.0;
                        allowed += f64::from(limit) / f64::from(slots) / 1500.0;
                    }
                }
                let found = used > 0.985 && allowed < 1.8 + 8.0 / f64::from(slots);
                assert!(
                    found,
                    "{used} used, {allowed} allowed of {slots}: {algorithm:?}"
                );
            }
        }
    }
}
