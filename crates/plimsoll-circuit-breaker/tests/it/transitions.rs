//! State transitions are reported to callbacks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use http::Request;
use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, State, TransitionReason};
use plimsoll_core::{Authority, Class, Missing, Outcome, Policy, policy::Verdict};
use tokio::time::Instant;

use super::{Bench, secs};

type Log = Arc<Mutex<Vec<String>>>;

/// Logs each transition as `key from -> to (reason)`.
fn logged(handle: &CircuitBreakerHandle) -> Log {
    let log = Log::default();
    let into = Arc::clone(&log);
    handle.on_transition(move |of| {
        let (key, from, to) = (of.key.as_deref().unwrap_or("-"), of.from, of.to);
        let line = format!("{key} {from} -> {to} ({})", of.reason);
        into.lock().unwrap().push(line);
    });
    log
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn each_transition_is_reported_with_its_reason() {
    let mut bench = Bench::small();
    let log = logged(&bench.breaker.handle());
    bench.call(Class::Failure);
    assert_eq!(taken(&log), [] as [&str; 0]);
    bench.call(Class::Failure);
    assert_eq!(taken(&log), ["- closed -> open (failure-rate)"]);
    assert!(bench.ask().is_err());
    assert_eq!(taken(&log), [] as [&str; 0]);
    bench.pass(secs(1));
    bench.call(Class::Failure);
    assert_eq!(
        taken(&log),
        [
            "- open -> half-open (opening-passed)",
            "- half-open -> open (probe-failed)"
        ]
    );
    bench.pass(secs(1));
    bench.call(Class::Success);
    bench.call(Class::Success);
    assert_eq!(
        taken(&log),
        [
            "- open -> half-open (opening-passed)",
            "- half-open -> closed (probes-succeeded)"
        ]
    );
}

#[test]
fn a_handle_reports_what_it_sets_and_a_reset_of_a_closed_breaker_is_no_transition() {
    let bench = Bench::small();
    let handle = bench.breaker.handle();
    let log = logged(&handle);
    handle.reset();
    handle.automatic();
    handle.force_open();
    handle.force_open();
    handle.automatic();
    handle.force_closed();
    assert_eq!(
        taken(&log),
        [
            "- closed -> forced-open (set)",
            "- forced-open -> closed (set)",
            "- closed -> forced-closed (set)"
        ]
    );
}

#[test]
fn a_transition_has_the_time_of_its_request_and_the_generation_that_it_started() {
    let mut bench = Bench::small();
    let handle = bench.breaker.handle();
    let seen: Arc<Mutex<Vec<(Instant, u64, TransitionReason)>>> = Arc::default();
    let into = Arc::clone(&seen);
    handle.on_transition(move |of| {
        let seen = (of.at, of.generation, of.reason);
        into.lock().unwrap().push(seen);
    });
    bench.pass(secs(7));
    let opened = bench.now;
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    bench.pass(secs(3));
    let probed = bench.now;
    let probe = bench.ask().unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (opened, 1, TransitionReason::FailureRate),
            (probed, 2, TransitionReason::OpeningPassed)
        ]
    );
    assert_eq!(handle.generation(), 2);
    bench.end(probe, Class::Success);
}

#[test]
fn a_panic_in_a_callback_fails_no_request_and_no_other_callback() {
    let bench = Bench::small();
    let handle = bench.breaker.handle();
    handle.on_transition(|_| panic!("on purpose"));
    let log = logged(&handle);
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(taken(&log), ["- closed -> open (failure-rate)"]);
    assert!(bench.ask().is_err());
    handle.reset();
    assert_eq!(taken(&log), ["- open -> closed (set)"]);
    bench.call(Class::Success);
}

#[test]
fn a_callback_may_change_the_state_and_read_it() {
    let bench = Bench::small();
    let handle = bench.breaker.handle();
    let again = handle.clone();
    handle.on_transition(move |of| {
        if of.to == State::Open {
            again.force_closed();
            assert_eq!(again.state(), State::ForcedClosed);
        }
    });
    let log = logged(&handle);
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(
        taken(&log),
        [
            "- closed -> open (failure-rate)",
            "- open -> forced-closed (set)"
        ]
    );
}

#[test]
fn transitions_of_many_threads_are_reported_in_order() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    let last = Arc::new(AtomicU64::new(0));
    let busy = AtomicBool::new(false);
    let before = Arc::clone(&last);
    let wrong = Arc::new(AtomicU64::new(0));
    let errors = Arc::clone(&wrong);
    handle.on_transition(move |of| {
        let overlap = busy.swap(true, SeqCst);
        let generation = before.swap(of.generation, SeqCst);
        errors.fetch_add(u64::from(overlap || generation >= of.generation), SeqCst);
        busy.store(false, SeqCst);
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    handle.force_open();
                    handle.force_closed();
                }
            });
        }
    });
    assert_eq!(wrong.load(SeqCst), 0);
    assert!(last.load(SeqCst) > 1);
}

#[test]
fn transitions_behind_a_slow_callback_are_bounded_and_counted() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    let (inner, first) = (handle.clone(), AtomicBool::new(true));
    let log = Log::default();
    let into = Arc::clone(&log);
    handle.on_transition(move |of| {
        into.lock().unwrap().push(of.to.to_string());
        if first.swap(false, SeqCst) {
            // As if other threads caused them while this callback is slow.
            for _ in 0..600 {
                inner.force_closed();
                inner.force_open();
            }
        }
    });
    handle.force_open();
    assert_eq!(log.lock().unwrap().len(), 1 + 1024);
    assert_eq!(handle.unreported(), 1200 - 1024);
}

/// Sends a client's request, with the callee in the URI.
fn call(policy: &impl Policy<Request<()>>, uri: &str, class: Class, now: Instant) -> bool {
    let mut req = Request::get(uri).body(()).unwrap();
    match policy.admit(&mut req, now) {
        Verdict::Admit(permit) => {
            policy.finish(permit, &Outcome::new(class, Duration::ZERO, now));
            true
        }
        _ => false,
    }
}

#[test]
fn a_transition_of_a_breaker_per_key_names_the_key() {
    let breaker = CircuitBreaker::builder().window(2).build().unwrap();
    let log = logged(&breaker.handle());
    let keyed = breaker.per_key(Authority, Missing::Share, 100).unwrap();
    let now = Instant::now();
    for _ in 0..2 {
        call(&keyed, "https://Bad.example/", Class::Failure, now);
        call(&keyed, "https://good.example/", Class::Success, now);
        call(&keyed, "http://worse.example/", Class::Failure, now);
        call(&keyed, "/relative", Class::Failure, now);
    }
    assert_eq!(
        taken(&log),
        [
            "bad.example:443 closed -> open (failure-rate)",
            "worse.example:80 closed -> open (failure-rate)",
            "- closed -> open (failure-rate)"
        ]
    );
}

/// The key of an evicted breaker is reported as closed, so that a count of open breakers is exact.
#[test]
fn an_eviction_of_an_open_breaker_is_reported() {
    let breaker = CircuitBreaker::builder().window(1).build().unwrap();
    let handle = breaker.handle();
    let open = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&open);
    handle.on_transition(move |of| {
        let key = of.key.clone().expect("a label");
        let mut open = into.lock().unwrap();
        match (of.to, of.reason) {
            (State::Open, _) => open.push(key),
            (_, TransitionReason::Evicted) => open.retain(|other| *other != key),
            other => panic!("{other:?}"),
        }
    });
    let keyed = breaker.per_key(Authority, Missing::Share, 512).unwrap();
    let mut now = Instant::now();
    let failing = |n: u32, now| {
        let uri = format!("https://host-{n}.example/");
        call(&keyed, &uri, Class::Failure, now)
    };
    for n in 0..2_000 {
        failing(n, now);
        now += secs(60);
    }
    let table = keyed.handle();
    assert!(table.evicted() > 1_000 && table.overflowed() == 0);
    assert_eq!(open.lock().unwrap().len() as u64, table.keys());
}
