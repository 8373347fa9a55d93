//! Answers that are no failures show that the callee is alive.

use http::StatusCode;
use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, State};
use plimsoll_core::Class;
use tokio::time::advance;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{
    Bench, millis, secs,
    stack::{obey, read, say},
};

#[test]
fn ignored_answers_are_good_probes() {
    let bench = Bench::due();
    bench.call(Class::Ignored);
    assert_eq!(bench.state(), "half-open", "one of two");
    bench.call(Class::Ignored);
    assert_eq!(bench.state(), "closed");
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_answers_404_closes_the_breaker() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    let service = CircuitBreakerLayer::new(breaker).layer(service_fn(obey));
    for _ in 0..20 {
        read(service.clone().oneshot(say(500)).await).await;
    }
    assert_eq!(handle.state(), State::Open);
    advance(handle.open_for() * 2).await;
    let mut rejected = 0;
    for _ in 0..1_000 {
        let status = read(service.clone().oneshot(say(404)).await).await;
        rejected += u32::from(status != StatusCode::NOT_FOUND);
    }
    assert_eq!((rejected, handle.state()), (0, State::Closed));
}

/// 12 failures among 1,000 answers are 1.2 %.
#[tokio::test(start_paused = true)]
async fn a_few_failures_among_404s_do_not_open() {
    let breaker = CircuitBreaker::builder().window(1_000).min_calls(10);
    let breaker = breaker.build().unwrap();
    let handle = breaker.handle();
    let service = CircuitBreakerLayer::new(breaker).layer(service_fn(obey));
    for n in 0..1_000 {
        let status = if n % 83 == 82 { 500 } else { 404 };
        read(service.clone().oneshot(say(status)).await).await;
    }
    assert_eq!(handle.state(), State::Closed);
    assert_eq!(handle.failure_rate(), Some(0.012));
}

#[test]
fn a_slow_answer_is_a_failure_whatever_it_says() {
    for class in [Class::Success, Class::Ignored] {
        let bench = Bench::due();
        bench
            .breaker
            .handle()
            .set_slow_call(Some(millis(50)))
            .unwrap();
        bench.end_after(bench.ask().unwrap(), class, millis(50));
        assert_eq!(bench.state(), "open", "{class:?}");
    }
}

/// With `count_overloaded(false)` an overloaded answer is no failure: a callee that is full is alive.
#[test]
fn overloaded_answers_that_do_not_count_are_good_probes() {
    let bench = Bench::due();
    bench.breaker.handle().set_count_overloaded(false).unwrap();
    bench.call(Class::Overloaded);
    bench.call(Class::Overloaded);
    assert_eq!(bench.state(), "closed");
    for _ in 0..10 {
        bench.call(Class::Overloaded);
    }
    assert_eq!(
        bench.breaker.handle().failure_rate(),
        None,
        "and they leave the closed window alone"
    );
}

#[test]
fn law_11_callers_that_leave_early_never_block_the_probing() {
    let mut bench = Bench::due();
    for round in 0..1_000 {
        let probe = bench
            .ask()
            .unwrap_or_else(|_| panic!("no probe in round {round}"));
        bench.pass(millis(1));
        bench.end_after(probe, Class::Cancelled, millis(1));
        assert_eq!(bench.breaker.handle().probing(), 0);
    }
    assert_eq!(bench.state(), "half-open", "there is no evidence");
    bench.pass(secs(1));
    bench.call(Class::Success);
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
}
