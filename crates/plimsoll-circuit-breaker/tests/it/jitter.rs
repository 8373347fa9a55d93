//! Breakers that open at one instant do not probe at one instant.

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use plimsoll_core::Class;

use super::{Bench, millis, secs};

/// When the first probes of 100 breakers that opened at one instant are due, in milliseconds.
fn first_probes(builder: CircuitBreakerBuilder) -> Vec<u128> {
    fastrand::seed(0x0f1a_7e11);
    (0..100)
        .map(|_| {
            let mut bench = Bench::new(builder.window(1).build().unwrap());
            bench.call(Class::Failure);
            let hint = bench.rejected().unwrap();
            // The hint is exact.
            let opened = bench.now;
            bench.now = opened + hint.saturating_sub(millis(1));
            assert_eq!(bench.rejected(), Some(millis(1)));
            bench.now = opened + hint;
            assert!(bench.ask().unwrap().is_probe());
            hint.as_millis()
        })
        .collect()
}

/// The largest number in one interval of 100 ms.
fn peak(moments: &[u128]) -> usize {
    let share = |bucket| moments.iter().filter(|at| **at / 100 == bucket).count();
    (0..1_000).map(share).max().unwrap()
}

#[test]
fn first_probes_of_a_fleet_are_spread_over_half_of_open_for() {
    let probes = first_probes(CircuitBreaker::builder().open_for(secs(5)));
    assert!(probes.iter().all(|at| (5_000..=7_500).contains(at)));
    // 25 intervals: four probes each on average.
    let peak = peak(&probes);
    assert!(peak <= 11, "{peak} of 100 in one interval");
    let (first, last) = (probes.iter().min().unwrap(), probes.iter().max().unwrap());
    assert!(
        (*first, *last) < (5_150, 7_501) && *last > 7_350,
        "{first} to {last}"
    );
}

#[test]
fn the_jitter_can_be_set_and_switched_off() {
    let builder = CircuitBreaker::builder().open_for(secs(5));
    let probes = first_probes(builder.jitter(1.0));
    assert!(probes.iter().all(|at| (5_000..=10_000).contains(at)));
    assert!(probes.iter().any(|at| *at > 9_000));
    let probes = first_probes(builder.jitter(0.0));
    assert!(probes.iter().all(|at| *at == 5_000));
}

#[test]
fn a_new_jitter_applies_from_the_next_opening() {
    fastrand::seed(7);
    let builder = CircuitBreaker::builder().backoff(1.0, secs(5));
    let mut bench = Bench::new(builder.window(1).build().unwrap());
    let handle = bench.breaker.handle();
    assert!((handle.jitter() - 0.5).abs() < f64::EPSILON);
    handle.set_jitter(0.0).unwrap();
    for _ in 0..3 {
        bench.call(Class::Failure);
        assert_eq!(bench.rejected(), Some(secs(5)));
        bench.pass(secs(5));
    }
    handle.set_jitter(1.0).unwrap();
    bench.call(Class::Failure);
    assert!(bench.rejected().unwrap() > secs(5));
}

/// Every opening draws its own jitter, and openings in a row grow from `open_for` and not from the
/// jittered length.
#[test]
fn openings_in_a_row_stay_within_their_jitter() {
    fastrand::seed(11);
    let mut drawn = Vec::new();
    for _ in 0..50 {
        let breaker = CircuitBreaker::builder()
            .window(1)
            .open_for(secs(1))
            .jitter(0.5)
            .backoff(2.0, secs(4));
        let mut bench = Bench::new(breaker.build().unwrap());
        for base in [1_000, 2_000, 4_000, 4_000] {
            bench.call(Class::Failure);
            let wait = bench.rejected().unwrap();
            assert!(
                (millis(base)..=millis(base + base / 2)).contains(&wait),
                "{wait:?}"
            );
            drawn.push(wait.as_nanos() * 1_000 / millis(base).as_nanos());
            bench.pass(wait);
        }
    }
    drawn.sort_unstable();
    drawn.dedup();
    assert!(drawn.len() > 100, "{} of 200 differ", drawn.len());
}
