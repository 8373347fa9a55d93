//! Outcomes age.

use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_core::Class;

use super::{Bench, secs};

const DAY: u64 = 24 * 3_600;

/// The report: four failures a week ago, and the fifth good answer opens the breaker.
#[test]
fn failures_of_a_week_ago_do_not_open() {
    let breaker = CircuitBreaker::builder().min_calls(10);
    let mut bench = Bench::new(breaker.build().unwrap());
    for _ in 0..5 {
        bench.call(Class::Failure);
    }
    bench.pass(secs(7 * DAY));
    for _ in 0..20 {
        bench.call(Class::Success);
        assert_eq!(bench.state(), "closed");
    }
    assert_eq!(bench.breaker.handle().failure_rate(), Some(0.0));
}

#[test]
fn outcomes_leave_between_fifteen_sixteenths_and_the_whole_age() {
    let breaker = CircuitBreaker::builder().min_calls(1).failure_rate(1.0);
    let mut bench = Bench::new(breaker.max_age(secs(160)).build().unwrap());
    let handle = bench.breaker.handle();
    bench.call(Class::Success);
    bench.pass(secs(5));
    bench.call(Class::Failure); // in the same slice of 10 s
    bench.pass(secs(154));
    bench.call(Class::Success);
    assert_eq!(handle.calls(), 3, "159 s after the first");
    bench.pass(secs(1));
    bench.call(Class::Success);
    assert_eq!((handle.calls(), handle.failure_rate()), (2, Some(0.0)));
}

/// A busy service records only the first successes of each slice; the others are as young.
#[test]
fn a_busy_healthy_window_stays_full() {
    let breaker = CircuitBreaker::builder().window(50).max_age(secs(160));
    let mut bench = Bench::new(breaker.build().unwrap());
    for second in 0..1_000 {
        bench.pass(secs(1));
        for _ in 0..10 {
            bench.call(Class::Success);
        }
        let expected = (10 * (second + 1)).min(50);
        assert_eq!(bench.breaker.handle().calls(), expected, "{second} s");
    }
    bench.call(Class::Failure);
    assert_eq!(bench.breaker.handle().failure_rate(), Some(0.02));
}

#[test]
fn old_successes_do_not_dilute_an_outage() {
    let breaker = CircuitBreaker::builder().window(100).max_age(secs(160));
    let mut bench = Bench::new(breaker.build().unwrap());
    for _ in 0..1_000 {
        bench.call(Class::Success);
    }
    bench.pass(secs(DAY));
    for _ in 0..19 {
        bench.call(Class::Failure);
    }
    assert_eq!(bench.state(), "closed", "below min_calls");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
}

#[test]
fn consecutive_failures_open_and_age() {
    let breaker = CircuitBreaker::builder().consecutive_failures(5);
    let mut bench = Bench::new(breaker.max_age(secs(60)).build().unwrap());
    for _ in 0..100 {
        for _ in 0..4 {
            bench.call(Class::Failure);
        }
        bench.call(Class::Ignored);
    }
    assert_eq!(bench.state(), "closed", "never five in a row");
    for _ in 0..4 {
        bench.call(Class::Failure);
    }
    bench.pass(secs(60));
    for _ in 0..4 {
        bench.call(Class::Failure);
    }
    assert_eq!(bench.state(), "closed", "the first four are a minute old");
    assert_eq!(bench.breaker.handle().failure_rate(), None);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
}
