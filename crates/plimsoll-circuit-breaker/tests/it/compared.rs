//! Other breakers, as settings of this one: each row of the tables in `docs/circuit-breaking.md`.

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, Window};
use plimsoll_core::Class;

use super::{Bench, millis, secs};

fn bench(builder: CircuitBreakerBuilder) -> Bench {
    Bench::new(builder.jitter(0.0).build().unwrap())
}

fn calls(bench: &Bench, failures: u32, successes: u32) {
    (0..successes).for_each(|_| bench.call(Class::Success));
    (0..failures).for_each(|_| bench.call(Class::Failure));
}

/// How long it is open, and how many probes it admits at a time.
fn opening_and_probes(bench: &mut Bench) -> (u64, usize) {
    let opening = bench.rejected().unwrap();
    bench.pass(opening);
    let probes = std::iter::from_fn(|| bench.ask().ok());
    (opening.as_secs(), probes.take(100).count())
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let handle = CircuitBreaker::new().handle();
    assert_eq!(handle.window(), Window::Calls(100));
    assert_eq!((handle.min_calls(), handle.max_age()), (20, secs(900)));
    let rates = (handle.threshold(), handle.slow_rate(), handle.jitter());
    assert_eq!(rates, (0.5, 0.5, 0.5));
    assert_eq!((handle.slow_call(), handle.ramp()), (None, Some(secs(5))));
    assert_eq!(handle.open_for(), secs(5));
    assert_eq!(handle.backoff(), Some((2.0, secs(40))));
    assert_eq!((handle.probes_at_a_time(), handle.successes()), (3, 3));
    assert_eq!(handle.max_retry_after(), Some(secs(60)));
    let mut bench = bench(CircuitBreaker::builder());
    calls(&bench, 10, 9);
    assert_eq!(bench.state(), "closed", "19 calls");
    bench.call(Class::Success);
    assert_eq!(bench.state(), "open", "10 of 20");
    assert_eq!(opening_and_probes(&mut bench), (5, 3));
}

/// 100 calls, at least 100 of them, 50 % failed or 100 % slower than 60 s, open for 60 s, 10 probes
/// that decide together.
fn resilience4j() -> CircuitBreakerBuilder {
    CircuitBreaker::builder()
        .window(100)
        .min_calls(100)
        .failure_rate(0.5)
        .slow_call(secs(60))
        .slow_rate(1.0)
        .open_for(secs(60))
        .backoff(1.0, secs(60))
        .probes(10)
        .successes(10)
        .ramp(None)
}

#[test]
fn resilience4j_waits_for_a_hundred_calls() {
    let mut bench = bench(resilience4j());
    calls(&bench, 99, 0);
    assert_eq!(bench.state(), "closed", "all of 99 calls failed");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    assert_eq!(opening_and_probes(&mut bench), (60, 10));
}

#[test]
fn resilience4j_opens_by_slow_calls_only_when_all_are_slow() {
    let bench = bench(resilience4j());
    for n in 0..100 {
        let took = if n == 0 { 59_999 } else { 60_000 };
        bench.end_after(bench.ask().unwrap(), Class::Success, millis(took));
    }
    assert_eq!(bench.state(), "closed", "99 of 100 are slow");
    bench.end_after(bench.ask().unwrap(), Class::Success, secs(60));
    assert_eq!(bench.state(), "open");
}

/// 30 s, at least 100 calls, 10 % failed, open for 5 s, one probe, another one after 5 s.
fn polly() -> CircuitBreakerBuilder {
    CircuitBreaker::builder()
        .window_time(secs(30))
        .min_calls(100)
        .failure_rate(0.1)
        .open_for(secs(5))
        .backoff(1.0, secs(5))
        .probes(1)
        .successes(1)
        .probe_timeout(secs(5))
        .ramp(None)
}

#[test]
fn polly_opens_at_a_tenth_of_a_hundred_calls_in_thirty_seconds() {
    let mut closed = bench(polly());
    calls(&closed, 9, 91);
    assert_eq!(closed.state(), "closed");
    closed.pass(secs(30));
    calls(&closed, 9, 0);
    assert_eq!(closed.state(), "closed", "the first hundred have left");
    let mut open = bench(polly());
    calls(&open, 10, 90);
    assert_eq!(open.state(), "open");
    assert_eq!(opening_and_probes(&mut open), (5, 1));
    open.pass(secs(5));
    assert!(open.ask().is_ok(), "one more probe after a break time");
}

/// 10 s, at least 20 calls, 50 % failed, open for 5 s, one probe whose success closes.
#[test]
fn hystrix_opens_at_half_of_twenty_calls_in_ten_seconds() {
    let hystrix = CircuitBreaker::builder()
        .window_time(secs(10))
        .min_calls(20)
        .failure_rate(0.5)
        .open_for(secs(5))
        .backoff(1.0, secs(5))
        .probes(1)
        .successes(1)
        .ramp(None);
    let mut bench = bench(hystrix);
    calls(&bench, 9, 10);
    assert_eq!(bench.state(), "closed", "19 calls");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    bench.pass(secs(5));
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
}

/// One failure opens for a minute, one success closes.
#[test]
fn failsafe_go_opens_at_the_first_failure() {
    let failsafe = CircuitBreaker::builder()
        .consecutive_failures(1)
        .open_for(secs(60))
        .backoff(1.0, secs(60))
        .probes(1)
        .successes(1)
        .ramp(None);
    let mut bench = bench(failsafe);
    calls(&bench, 1, 1_000);
    assert_eq!(bench.state(), "open");
    assert_eq!(opening_and_probes(&mut bench), (60, 1));
}
