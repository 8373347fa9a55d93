//! Slow calls: a rate of their own, and calls in flight.

use http::Request;
use plimsoll_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, InvalidCircuitBreaker, State,
    TransitionReason,
};
use plimsoll_core::{Class, Outcome, Policy};
use tokio::time::{advance, sleep};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Bench, millis, secs, small, stack::obey};

fn slow() -> CircuitBreakerBuilder {
    CircuitBreaker::builder()
        .window(100)
        .min_calls(10)
        .failure_rate(0.5)
        .slow_call(millis(800))
        .slow_rate(0.8)
}

#[test]
fn the_two_rates_are_separate() {
    let bench = Bench::new(slow().build().unwrap());
    // 40 % failures and 40 % slow calls open nothing.
    for n in 0..10 {
        let (class, latency) = match n % 5 {
            0 | 1 => (Class::Failure, millis(1)),
            2 | 3 => (Class::Success, millis(900)),
            _ => (Class::Success, millis(1)),
        };
        bench.end_after(bench.ask().unwrap(), class, latency);
    }
    let handle = bench.breaker.handle();
    assert_eq!(handle.state(), State::Closed);
    assert_eq!(
        (handle.failure_rate(), handle.slow_call_rate()),
        (Some(0.4), Some(0.4))
    );
    while handle.state() == State::Closed {
        bench.end_after(bench.ask().unwrap(), Class::Success, millis(800));
    }
    let reason = handle.last_transition().unwrap().reason;
    assert_eq!(reason, TransitionReason::SlowRate);
    assert_eq!(handle.slow_call_rate(), Some(0.8));
}

/// All calls hang: no outcome ever comes. The first request after `slow_call` opens the breaker.
#[test]
fn calls_that_hang_open_the_breaker_before_they_end() {
    for builder in [
        slow(),
        slow().window_time(secs(10)),
        slow().consecutive_failures(10),
    ] {
        let mut bench = Bench::new(builder.build().unwrap());
        let hanging: Vec<_> = (0..10).map(|_| bench.ask().unwrap()).collect();
        let handle = bench.breaker.handle();
        bench.pass(millis(799));
        let in_time = bench.ask().unwrap();
        assert_eq!((handle.slow_in_flight(), handle.calls()), (0, 0));
        bench.end(in_time, Class::Cancelled);
        bench.pass(millis(101));
        assert!(bench.ask().is_err());
        assert_eq!((bench.state(), handle.opened()), ("open", 1));
        let latest = handle.last_transition().unwrap();
        assert_eq!(latest.at, bench.now);
        for permit in hanging {
            bench.end_after(permit, Class::Success, secs(20));
        }
        assert_eq!((bench.state(), handle.late()), ("open", 10));
    }
}

#[test]
fn fewer_hanging_calls_than_the_rate_do_not_open() {
    let mut bench = Bench::new(slow().build().unwrap());
    let hanging: Vec<_> = (0..30).map(|_| bench.ask().unwrap()).collect();
    for _ in 0..10 {
        bench.call(Class::Success);
    }
    bench.pass(secs(1));
    bench.call(Class::Success);
    let handle = bench.breaker.handle();
    assert_eq!(handle.slow_in_flight(), 30);
    assert_eq!(handle.slow_call_rate(), Some(30.0 / 41.0));
    // They answer, slowly: each leaves the calls in flight and enters the window.
    for permit in hanging {
        bench.end_after(permit, Class::Success, secs(1));
        assert_eq!(handle.slow_call_rate(), Some(30.0 / 41.0));
    }
    assert_eq!((handle.slow_in_flight(), bench.state()), (0, "closed"));
}

#[test]
fn a_call_is_never_slow_before_slow_call() {
    for offset in 0..100 {
        let mut bench = Bench::new(slow().build().unwrap());
        bench.call(Class::Success);
        bench.pass(millis(offset * 7));
        let permit = bench.ask().unwrap();
        for _ in 0..799 {
            bench.pass(millis(1));
            bench.end(bench.ask().unwrap(), Class::Cancelled);
            assert_eq!(bench.breaker.handle().slow_in_flight(), 0);
        }
        bench.pass(millis(101));
        bench.end(bench.ask().unwrap(), Class::Cancelled);
        assert_eq!(bench.breaker.handle().slow_in_flight(), 1);
        bench.end_after(permit, Class::Cancelled, millis(900));
        let handle = bench.breaker.handle();
        assert_eq!((handle.slow_in_flight(), handle.calls()), (0, 2));
    }
}

#[test]
fn a_call_with_its_head_is_not_in_flight_any_longer() {
    let mut bench = Bench::new(slow().build().unwrap());
    let mut streaming = bench.ask().unwrap();
    Policy::<()>::answered(&bench.breaker, &mut streaming);
    let mut late = bench.ask().unwrap();
    bench.pass(secs(5));
    bench.call(Class::Success);
    let handle = bench.breaker.handle();
    assert_eq!(handle.slow_in_flight(), 1);
    // A slow head changes nothing: the call stays slow until its outcome enters the window.
    Policy::<()>::answered(&bench.breaker, &mut late);
    assert_eq!(handle.slow_in_flight(), 1);
    let ended = Outcome::new(Class::Success, millis(1), bench.now);
    Policy::<()>::finish(&bench.breaker, streaming, &ended);
    bench.end_after(late, Class::Success, secs(5));
    assert_eq!((handle.slow_in_flight(), handle.calls()), (0, 3));
}

#[test]
fn a_request_that_never_ran_is_not_in_flight() {
    let mut bench = Bench::new(slow().build().unwrap());
    for _ in 0..100 {
        bench.revoke(bench.ask().unwrap());
    }
    bench.pass(secs(1));
    bench.call(Class::Success);
    assert_eq!(bench.breaker.handle().slow_in_flight(), 0);
}

/// Through a gate: the service hangs, and the body of an answered call streams on.
#[tokio::test(start_paused = true)]
async fn a_gate_sees_hanging_calls_and_not_streaming_ones() {
    let breaker = slow().min_calls(3).build().unwrap();
    let handle = breaker.handle();
    let layer = CircuitBreakerLayer::new(breaker);
    let service = layer.layer(service_fn(obey));
    let streaming = service
        .clone()
        .oneshot(Request::new((200, secs(0))))
        .await
        .unwrap();
    let calls: Vec<_> = (0..5)
        .map(|_| tokio::spawn(service.clone().oneshot(Request::new((200, secs(60))))))
        .collect();
    sleep(millis(1)).await;
    advance(secs(1)).await;
    let rejected = service
        .clone()
        .oneshot(Request::new((200, secs(0))))
        .await
        .unwrap();
    assert_eq!(rejected.status(), 503);
    assert_eq!((handle.state(), handle.slow_in_flight()), (State::Open, 0));
    assert_eq!(
        handle.last_transition().unwrap().reason,
        TransitionReason::SlowRate
    );
    drop(streaming);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A probe that hangs opens again when `slow_call` has passed, instead of one more probe.
#[test]
fn a_probe_that_passes_slow_call_opens_at_the_next_request() {
    let mut bench = Bench::due_with(small().slow_call(millis(100)));
    let hung = bench.ask().unwrap();
    bench.pass(millis(99));
    assert!(bench.ask().is_ok(), "the second place");
    bench.pass(millis(1));
    assert_eq!(bench.rejected(), Some(secs(1)));
    let latest = bench.breaker.handle().last_transition().unwrap();
    assert_eq!(
        (latest.to, latest.reason),
        (State::Open, TransitionReason::ProbeFailed)
    );
    bench.end_after(hung, Class::Success, secs(2));
    assert_eq!(bench.state(), "open");
}

#[test]
fn slow_call_can_be_changed_but_not_switched_on_at_run_time() {
    let bench = Bench::new(slow().build().unwrap());
    let handle = bench.breaker.handle();
    assert_eq!(handle.slow_call(), Some(millis(800)));
    handle.set_slow_call(Some(secs(2))).unwrap();
    bench.end_after(bench.ask().unwrap(), Class::Success, millis(1_999));
    bench.end_after(bench.ask().unwrap(), Class::Success, secs(2));
    handle.set_min_calls(2).unwrap();
    assert_eq!(handle.slow_call_rate(), Some(0.5));
    handle.set_slow_call(None).unwrap();
    for _ in 0..20 {
        bench.end_after(bench.ask().unwrap(), Class::Success, secs(9));
    }
    assert_eq!((handle.state(), handle.calls()), (State::Closed, 22));
    handle.set_slow_call(Some(secs(1))).unwrap();

    let handle = CircuitBreaker::new().handle();
    let error = handle.set_slow_call(Some(secs(1))).unwrap_err();
    assert_eq!(error, InvalidCircuitBreaker::SlowCall(secs(1)));
    assert_eq!(
        error.to_string(),
        "slow_call must be set by the builder before the handle can change it, got 1s"
    );
    assert_eq!(handle.slow_call(), None);
}

/// Successes that change no decision are not recorded one by one. They still replace slow calls.
#[test]
fn fast_calls_replace_slow_ones_in_every_window() {
    for (builder, replaced) in [
        (slow().window(10), true),
        (slow().window_time(secs(10)), false),
        (slow().consecutive_failures(10), true),
    ] {
        let bench = Bench::new(builder.build().unwrap());
        let call = |latency| {
            let mut permit = bench.ask().unwrap();
            Policy::<()>::answered(&bench.breaker, &mut permit);
            bench.end_after(permit, Class::Success, latency);
        };
        let rate = || bench.breaker.handle().slow_call_rate();
        (0..30).for_each(|_| call(millis(1)));
        call(millis(800));
        let with_one = rate();
        (0..30).for_each(|_| call(millis(1)));
        match with_one {
            Some(before) if replaced => assert_eq!((before > 0.0, rate()), (true, Some(0.0))),
            Some(before) => assert!(rate().unwrap() < before && before > 0.0),
            None => assert!(replaced, "failures in a row have no rate"),
        }
        assert_eq!(bench.state(), "closed");
    }
}

/// A slow success is slow whatever came before it.
#[test]
fn slow_calls_after_many_fast_ones_open() {
    for builder in [slow().window(10), slow().window_time(secs(10))] {
        let bench = Bench::new(builder.build().unwrap());
        let call = |latency| {
            let mut permit = bench.ask().unwrap();
            Policy::<()>::answered(&bench.breaker, &mut permit);
            bench.end_after(permit, Class::Success, latency);
        };
        (0..10).for_each(|_| call(millis(1)));
        let mut slow = 0;
        while bench.state() == "closed" {
            call(millis(800));
            slow += 1;
            assert!(slow <= 40);
        }
        assert!(slow >= 8, "{slow}");
    }
}
