//! State transitions.

use plimsoll_circuit_breaker::{CircuitBreaker, State};
use plimsoll_core::{Class, Kind};

use super::{Bench, millis, secs, small};

#[test]
fn a_closed_breaker_admits_below_min_calls_with_any_outcome() {
    let bench = Bench::small();
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "closed");
    assert_eq!(bench.breaker.handle().failure_rate(), None);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    assert_eq!(bench.breaker.handle().failure_rate(), Some(1.0));
    assert_eq!(bench.breaker.handle().calls(), 2);
}

#[test]
fn opens_when_the_rate_is_reached_exactly() {
    let bench = Bench::new(
        CircuitBreaker::builder()
            .window(30)
            .min_calls(30)
            .failure_rate(0.1)
            .build()
            .unwrap(),
    );
    for _ in 0..27 {
        bench.call(Class::Success);
    }
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open", "3 of 30 are 0.1");
}

#[test]
fn a_success_that_completes_min_calls_opens_too() {
    let bench = Bench::new(
        CircuitBreaker::builder()
            .window(10)
            .min_calls(4)
            .failure_rate(0.5)
            .build()
            .unwrap(),
    );
    for class in [Class::Failure, Class::Failure, Class::Success] {
        bench.call(class);
        assert_eq!(bench.state(), "closed");
    }
    bench.call(Class::Success);
    assert_eq!(bench.state(), "open", "two of four calls failed");
}

/// The window slides: a tumbling one, or none at all, would need as many failures as there were
/// successes.
#[test]
fn a_long_healthy_past_does_not_dilute_an_outage() {
    let bench = Bench::new(
        CircuitBreaker::builder()
            .window(10)
            .min_calls(10)
            .failure_rate(0.5)
            .build()
            .unwrap(),
    );
    for _ in 0..1_000 {
        bench.call(Class::Success);
    }
    for _ in 0..4 {
        bench.call(Class::Failure);
    }
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
}

#[test]
fn old_failures_leave_the_window() {
    let bench = Bench::small();
    for _ in 0..3 {
        bench.call(Class::Success);
    }
    for _ in 0..20 {
        // One failure among the last four: never two.
        for class in [
            Class::Failure,
            Class::Success,
            Class::Success,
            Class::Success,
        ] {
            bench.call(class);
            assert_eq!(bench.state(), "closed");
        }
    }
}

#[test]
fn an_open_breaker_rejects_with_the_exact_time_until_the_first_probe() {
    let mut bench = Bench::open();
    let rejection = bench.ask().unwrap_err();
    assert_eq!(
        (
            rejection.policy(),
            rejection.kind(),
            rejection.retry_after()
        ),
        ("circuit-breaker", Kind::CircuitOpen, Some(secs(1)))
    );
    bench.pass(millis(999));
    assert_eq!(bench.rejected(), Some(millis(1)));
    assert_eq!(
        bench.breaker.handle().retry_after(bench.now),
        Some(millis(1))
    );
    bench.pass(millis(1));
    assert_eq!(
        bench.breaker.handle().retry_after(bench.now),
        Some(secs(0)),
        "the time is over, but no request has arrived"
    );
    assert_eq!(bench.state(), "open");
    assert!(bench.ask().unwrap().is_probe());
    assert_eq!(bench.state(), "half-open");
    assert_eq!(bench.breaker.handle().rejected(), 2);
}

#[test]
fn closing_starts_with_an_empty_window() {
    let bench = Bench::due();
    bench.call(Class::Success);
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
    assert_eq!(bench.breaker.handle().failure_rate(), None);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "closed", "earlier failures are not counted");
}

#[test]
fn a_failed_probe_opens_again_for_the_same_time() {
    let bench = Bench::due();
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    assert_eq!(bench.rejected(), Some(secs(1)));
    assert_eq!(bench.breaker.handle().opened(), 2);
}

#[test]
fn openings_in_a_row_back_off_and_a_good_probe_resets_nothing() {
    let mut bench = Bench::small();
    let handle = bench.breaker.handle();
    handle.set_backoff(Some((3.0, secs(8)))).unwrap();
    handle.set_successes(1).unwrap();
    for expected in [1, 3, 8, 8] {
        while bench.state() != "open" {
            bench.call(Class::Failure);
        }
        assert_eq!(bench.rejected(), Some(secs(expected)));
        bench.pass(secs(expected));
        bench.call(Class::Failure); // the probe
        assert_eq!(bench.state(), "open");
        if expected == 1 {
            assert_eq!(bench.rejected(), Some(secs(3)));
        }
    }
    bench.pass(secs(8));
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(
        bench.rejected(),
        Some(secs(8)),
        "a good probe resets nothing"
    );
}

/// Openings of 1, 2 and 4 s, then closed for a time. Expected: the next opening.
#[test]
fn the_growth_decays_with_the_time_closed() {
    for (closed, expected) in [(0, 8), (4, 4), (6, 2), (7, 1), (1_000, 1)] {
        let mut bench = Bench::opened(small().backoff(2.0, secs(100)).successes(1));
        for opening in [1, 2] {
            bench.pass(secs(opening));
            bench.call(Class::Failure); // the probe
        }
        assert_eq!(bench.rejected(), Some(secs(4)));
        bench.pass(secs(4));
        bench.call(Class::Success);
        assert_eq!(bench.state(), "closed");
        bench.pass(secs(closed));
        bench.call(Class::Failure);
        bench.call(Class::Failure);
        assert_eq!(bench.rejected(), Some(secs(expected)), "closed {closed} s");
    }
}

#[test]
fn openings_in_a_row_grow_by_default() {
    let mut bench = Bench::new(CircuitBreaker::builder().jitter(0.0).build().unwrap());
    for _ in 0..20 {
        bench.call(Class::Failure);
    }
    let mut openings = Vec::new();
    for _ in 0..5 {
        let opening = bench.rejected().unwrap();
        openings.push(opening.as_secs());
        bench.pass(opening);
        bench.call(Class::Failure);
    }
    assert_eq!(openings, [5, 10, 20, 40, 40]);
}

#[test]
fn each_class_counts_as_documented() {
    let check = |class, count_overloaded, expected: Option<f64>| {
        let breaker = CircuitBreaker::builder()
            .window(2)
            .min_calls(1)
            .failure_rate(1.0)
            .count_overloaded(count_overloaded);
        let bench = Bench::new(breaker.build().unwrap());
        bench.call(class);
        assert_eq!(bench.breaker.handle().failure_rate(), expected, "{class:?}");
    };
    check(Class::Success, true, Some(0.0));
    check(Class::Failure, true, Some(1.0));
    check(Class::Overloaded, true, Some(1.0));
    check(Class::Overloaded, false, None);
    check(Class::Ignored, true, Some(0.0));
    check(Class::Cancelled, true, None);
}

#[test]
fn slow_calls_are_counted_when_slow_call_is_set() {
    let check = |class, latency, expected: Option<(f64, f64)>| {
        let breaker = CircuitBreaker::builder()
            .window(2)
            .failure_rate(1.0)
            .min_calls(1)
            .slow_call(millis(100));
        let bench = Bench::new(breaker.build().unwrap());
        bench.end_after(bench.ask().unwrap(), class, latency);
        let handle = bench.breaker.handle();
        let rates = handle.failure_rate().zip(handle.slow_call_rate());
        assert_eq!(rates, expected, "{class:?} after {latency:?}");
    };
    check(Class::Success, millis(99), Some((0.0, 0.0)));
    check(Class::Success, millis(100), Some((0.0, 1.0)));
    check(Class::Ignored, millis(99), Some((0.0, 0.0)));
    check(Class::Ignored, millis(100), Some((0.0, 1.0)));
    check(Class::Failure, millis(99), Some((1.0, 0.0)));
    check(Class::Failure, millis(100), Some((1.0, 1.0)));
    check(Class::Cancelled, millis(99), None);
    check(Class::Cancelled, millis(100), Some((1.0, 1.0)));
}

#[test]
fn forced_open_rejects_without_a_hint_until_automatic() {
    let mut bench = Bench::small();
    let handle = bench.breaker.handle();
    handle.force_open();
    assert_eq!(handle.state(), State::ForcedOpen);
    bench.pass(secs(1_000_000));
    assert_eq!(bench.rejected(), None);
    assert_eq!(handle.retry_after(bench.now), None);
    handle.automatic();
    assert_eq!(handle.state(), State::Closed);
    assert!(!bench.ask().unwrap().is_probe());
}

#[test]
fn forced_closed_measures_and_never_opens() {
    let bench = Bench::open();
    let handle = bench.breaker.handle();
    handle.force_closed();
    for _ in 0..10 {
        bench.call(Class::Failure);
    }
    assert_eq!(handle.state(), State::ForcedClosed);
    assert_eq!(handle.failure_rate(), Some(1.0));
    handle.automatic();
    assert_eq!(
        handle.failure_rate(),
        None,
        "the recorded failures do not open it now"
    );
    bench.call(Class::Failure);
    assert_eq!(handle.state(), State::Closed);
    bench.call(Class::Failure);
    assert_eq!(handle.state(), State::Open);
}

#[test]
fn automatic_does_not_change_an_unforced_state() {
    let bench = Bench::open();
    let handle = bench.breaker.handle();
    let generation = handle.generation();
    handle.automatic();
    assert_eq!(
        (handle.state(), handle.generation()),
        (State::Open, generation)
    );
    handle.reset();
    assert_eq!(handle.state(), State::Closed);
    assert!(bench.ask().is_ok());
}

#[test]
fn states_are_named_for_labels_and_messages() {
    let states = [
        State::Closed,
        State::ForcedClosed,
        State::Disabled,
        State::Open,
        State::ForcedOpen,
        State::HalfOpen,
        State::Recovering,
    ];
    let names = [
        "closed",
        "forced-closed",
        "disabled",
        "open",
        "forced-open",
        "half-open",
        "recovering",
    ];
    assert_eq!(states.map(State::as_str), names);
    assert_eq!(states.map(|state| state.to_string()), names);
    let bench = Bench::open();
    let (breaker, handle) = (&bench.breaker, bench.breaker.handle());
    assert_eq!(
        format!("{breaker:?}"),
        "CircuitBreaker { state: Open, generation: 1, .. }"
    );
    assert_eq!(
        format!("{handle:?}"),
        "CircuitBreakerHandle { state: Open, generation: 1, failure_rate: Some(1.0), .. }"
    );
}
