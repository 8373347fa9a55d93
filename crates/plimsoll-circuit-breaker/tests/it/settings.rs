//! Invalid settings, and settings that are changed at run time.

use std::time::Duration;

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, InvalidCircuitBreaker};
use plimsoll_core::Class;

use super::{Bench, secs};

#[test]
fn law_09_errors_name_the_field_and_the_bound() {
    fn check(set: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder, expected: &str) {
        let error = set(CircuitBreaker::builder()).build().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    check(|b| b.window(0), "window must be in 1..=65536 calls, got 0");
    check(
        |b| b.window(65_537),
        "window must be in 1..=65536 calls, got 65537",
    );
    for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
        let expected = format!("failure_rate must be in (0, 1], got {rate}");
        check(|b| b.failure_rate(rate), &expected);
        let expected = format!("slow_rate must be in (0, 1], got {rate}");
        check(|b| b.slow_rate(rate), &expected);
    }
    check(
        |b| b.min_calls(0),
        "min_calls must be in 1..=100 (the window), got 0",
    );
    check(
        |b| b.window(10).min_calls(11),
        "min_calls must be in 1..=10 (the window), got 11",
    );
    check(|b| b.probes(0), "probes must be in 1..=64, got 0");
    check(|b| b.probes(65), "probes must be in 1..=64, got 65");
    check(|b| b.successes(0), "successes must be at least 1, got 0");
    let zero = Duration::ZERO;
    check(
        |b| b.open_for(zero),
        "open_for must be longer than 0, got 0s",
    );
    check(
        |b| b.probe_timeout(zero),
        "probe_timeout must be longer than 0, got 0s",
    );
    check(
        |b| b.slow_call(zero),
        "slow_call must be longer than 0, got 0s",
    );
    check(
        |b| b.window_time(zero),
        "window_time must be longer than 0, got 0s",
    );
    check(|b| b.max_age(zero), "max_age must be longer than 0, got 0s");
    check(|b| b.ramp(zero), "ramp must be longer than 0, got 0s");
    check(
        |b| b.max_retry_after(zero),
        "max_retry_after must be longer than 0, got 0s",
    );
    check(
        |b| b.consecutive_failures(0),
        "window must be in 1..=65536 calls, got 0",
    );
    check(
        |b| b.window_time(secs(10)).min_calls(0),
        "min_calls must be in 1..=4294967295 (the window), got 0",
    );
    check(
        |b| b.cancelled_call(zero),
        "cancelled_call must be longer than 0, got 0s",
    );
    for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let expected = format!("jitter must be in 0..=1, got {jitter}");
        check(|b| b.jitter(jitter), &expected);
    }
    check(
        |b| b.backoff(0.9, secs(60)),
        "backoff factor must be finite and at least 1, got 0.9",
    );
    check(
        |b| b.backoff(2.0, secs(1)),
        "backoff max must be at least open_for (5s), got 1s",
    );
}

#[test]
fn a_window_smaller_than_the_default_min_calls_is_fine() {
    let breaker = CircuitBreaker::builder().window(5).build().unwrap();
    assert_eq!(breaker.handle().min_calls(), 5);
}

#[test]
fn absurdly_long_durations_never_overflow() {
    let max = Duration::MAX;
    let breaker = CircuitBreaker::builder()
        .window(1)
        .open_for(max)
        .probe_timeout(max)
        .backoff(f64::MAX, max);
    let mut bench = Bench::new(breaker.build().unwrap());
    bench.call(Class::Failure);
    bench.pass(secs(1_000));
    assert!(bench.ask().is_err());
}

#[test]
fn new_settings_apply_from_the_next_outcome() {
    let bench = Bench::new(CircuitBreaker::builder().jitter(0.0).build().unwrap());
    let handle = bench.breaker.handle();
    for _ in 0..10 {
        bench.call(Class::Failure);
    }
    assert_eq!(bench.state(), "closed");
    handle.set_min_calls(5).unwrap();
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Success);
    assert_eq!(bench.state(), "open");
    assert_eq!(bench.rejected(), Some(secs(5)));

    handle.reset();
    handle.set_threshold(0.2).unwrap();
    handle.set_open_for(secs(9)).unwrap();
    for class in [
        Class::Success,
        Class::Success,
        Class::Success,
        Class::Success,
    ] {
        bench.call(class);
    }
    bench.call(Class::Failure);
    assert_eq!(bench.rejected(), Some(secs(9)));
}

#[test]
fn law_09_an_invalid_setting_changes_nothing() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    assert_eq!(
        handle.set_threshold(0.0),
        Err(InvalidCircuitBreaker::Rate {
            name: "failure_rate",
            rate: 0.0
        })
    );
    assert_eq!(
        handle.set_min_calls(101),
        Err(InvalidCircuitBreaker::MinCalls {
            min_calls: 101,
            window: 100
        })
    );
    assert_eq!(
        handle.set_probes_at_a_time(0),
        Err(InvalidCircuitBreaker::Probes(0))
    );
    assert_eq!(
        (
            handle.threshold(),
            handle.min_calls(),
            handle.probes_at_a_time()
        ),
        (0.5, 20, 3)
    );
}

/// A half-open breaker with all probes running rejects by a published time; a changed setting must
/// invalidate it.
#[test]
fn more_probes_at_a_time_apply_from_the_next_request() {
    let bench = Bench::due();
    let handle = bench.breaker.handle();
    let (_first, _second) = (bench.ask().unwrap(), bench.ask().unwrap());
    assert!(bench.ask().is_err());
    handle.set_probes_at_a_time(3).unwrap();
    assert_eq!(handle.retry_after(bench.now), Some(Duration::ZERO));
    assert!(bench.ask().unwrap().is_probe());
    assert!(bench.ask().is_err());
}

#[test]
fn the_handle_reads_and_changes_all_settings() {
    let handle = CircuitBreaker::builder()
        .window(50)
        .min_calls(7)
        .failure_rate(0.25)
        .open_for(secs(3))
        .jitter(0.1)
        .backoff(2.0, secs(30))
        .probes(5)
        .successes(6)
        .probe_timeout(secs(4))
        .ramp(secs(2))
        .slow_call(secs(8))
        .slow_rate(0.375)
        .cancelled_call(secs(9))
        .count_overloaded(false)
        .max_age(secs(70))
        .max_retry_after(secs(11))
        .observe_only(true)
        .build()
        .unwrap()
        .handle();
    let all = || {
        format!(
            "{:?} {} {} {:?} {} {:?} {} {} {:?} {:?} {:?} {} / {:?} {:?} {} {:?} {}",
            handle.window(),
            handle.min_calls(),
            handle.threshold(),
            handle.open_for(),
            handle.jitter(),
            handle.backoff(),
            handle.probes_at_a_time(),
            handle.successes(),
            handle.probe_timeout(),
            handle.slow_call(),
            handle.cancelled_call(),
            handle.count_overloaded(),
            handle.max_age(),
            handle.ramp(),
            handle.slow_rate(),
            handle.max_retry_after(),
            handle.observe_only(),
        )
    };
    assert_eq!(
        all(),
        "Calls(50) 7 0.25 3s 0.1 Some((2.0, 30s)) 5 6 4s Some(8s) Some(9s) false \
         / 70s Some(2s) 0.375 Some(11s) true"
    );
    handle.set_min_calls(8).unwrap();
    handle.set_threshold(0.75).unwrap();
    handle.set_open_for(secs(2)).unwrap();
    handle.set_jitter(0.0).unwrap();
    handle.set_backoff(None).unwrap();
    handle.set_probes_at_a_time(1).unwrap();
    handle.set_successes(2).unwrap();
    handle.set_probe_timeout(secs(1)).unwrap();
    handle.set_slow_call(None).unwrap();
    handle.set_cancelled_call(None).unwrap();
    handle.set_count_overloaded(true).unwrap();
    handle.set_ramp(None).unwrap();
    handle.set_slow_rate(0.5).unwrap();
    handle.set_max_retry_after(None).unwrap();
    handle.set_observe_only(false).unwrap();
    assert_eq!(
        all(),
        "Calls(50) 8 0.75 2s 0 None 1 2 1s None None true / 70s None 0.5 None false"
    );
}
