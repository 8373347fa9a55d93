//! A window by time.

use std::collections::VecDeque;

use plimsoll_circuit_breaker::{CircuitBreaker, Window};
use plimsoll_core::Class;
use proptest::prelude::*;

use super::{Bench, millis, secs};

fn ten_seconds() -> Bench {
    let breaker = CircuitBreaker::builder().window_time(secs(10));
    Bench::new(breaker.min_calls(10).build().unwrap())
}

#[test]
fn the_rate_is_taken_over_the_time_whatever_the_number_of_calls() {
    let mut bench = ten_seconds();
    assert_eq!(bench.breaker.handle().window(), Window::Time(secs(10)));
    for _ in 0..20_000 {
        bench.call(Class::Success);
    }
    assert_eq!(bench.breaker.handle().calls(), 20_000);
    bench.pass(secs(10));
    for _ in 0..9 {
        bench.call(Class::Failure);
    }
    assert_eq!(bench.state(), "closed", "below min_calls");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
}

#[test]
fn a_success_that_completes_min_calls_opens() {
    let bench = ten_seconds();
    for _ in 0..5 {
        bench.call(Class::Failure);
    }
    for _ in 0..4 {
        bench.call(Class::Success);
        assert_eq!(bench.state(), "closed");
    }
    bench.call(Class::Success);
    assert_eq!(bench.state(), "open", "five of ten calls failed");
}

#[test]
fn failures_leave_the_window() {
    let mut bench = ten_seconds();
    for _ in 0..100 {
        for _ in 0..4 {
            bench.call(Class::Failure);
        }
        for _ in 0..5 {
            bench.call(Class::Success);
        }
        bench.pass(secs(10));
    }
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Success);
    assert_eq!(bench.breaker.handle().calls(), 1);
}

/// A window that tumbles loses what happened just before its edge.
#[test]
fn an_outage_across_the_edge_of_a_slice_opens() {
    for offset in 0..100 {
        let mut bench = ten_seconds();
        bench.call(Class::Success);
        bench.pass(millis(100 * offset + 17));
        for _ in 0..5 {
            bench.call(Class::Failure);
        }
        bench.pass(millis(900));
        while bench.state() == "closed" && bench.breaker.handle().calls() < 11 {
            bench.call(Class::Failure);
        }
        assert_eq!(bench.state(), "open", "{offset}");
    }
}

#[test]
fn a_closed_breaker_starts_with_an_empty_window() {
    let breaker = CircuitBreaker::builder().window_time(secs(10)).min_calls(2);
    let breaker = breaker.ramp(None).jitter(0.0).successes(1);
    let mut bench = Bench::new(breaker.build().unwrap());
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(bench.rejected(), Some(secs(5)));
    bench.pass(secs(5));
    bench.call(Class::Success);
    assert_eq!(
        (bench.state(), bench.breaker.handle().calls()),
        ("closed", 0)
    );
}

proptest! {
    /// The model has every call with its time. The breaker drops calls up to 1/16 of the window
    /// sooner than after the whole of it.
    #[test]
    fn the_window_lies_between_two_exact_windows(
        calls in proptest::collection::vec((0_u64..400, any::<bool>()), 1..400),
    ) {
        let breaker = CircuitBreaker::builder().window_time(millis(1_600)).min_calls(u32::MAX);
        let mut bench = Bench::new(breaker.build().unwrap());
        let mut model: VecDeque<u64> = VecDeque::new();
        let mut now = 0;
        for (pause, failed) in calls {
            let pause = if pause > 390 { pause * 10 } else { pause / 8 };
            now += pause;
            bench.pass(millis(pause));
            bench.call(if failed { Class::Failure } else { Class::Success });
            model.push_back(now);
            model.retain(|at| now - at < 1_600);
            let least = model.iter().filter(|at| now - **at < 1_500).count();
            let counted = bench.breaker.handle().calls() as usize;
            prop_assert!((least..=model.len()).contains(&counted), "{least} {counted} {}", model.len());
        }
    }
}
