//! States and modes that are set by hand.

use plimsoll_circuit_breaker::{CircuitBreaker, State, TransitionReason};
use plimsoll_core::Class;
use tokio::time::{Instant, advance};

use super::{Bench, millis, secs, small};

#[test]
fn a_disabled_breaker_admits_all_and_counts_nothing() {
    let mut bench = Bench::small();
    let handle = bench.breaker.handle();
    handle.disable();
    for _ in 0..100 {
        bench.call(Class::Failure);
    }
    assert_eq!(
        (handle.state(), handle.calls(), handle.opened()),
        (State::Disabled, 0, 0)
    );
    bench.pass(secs(1_000));
    assert!(bench.ask().is_ok());
    assert!(
        !handle.trip(secs(1)),
        "as in every state that is set by hand"
    );
    handle.automatic();
    assert_eq!((handle.state(), handle.calls()), (State::Closed, 0));
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    handle.disable();
    assert!(bench.ask().is_ok(), "from an open state, too");
}

#[test]
fn a_breaker_that_only_observes_changes_its_state_and_admits_all() {
    let mut bench = Bench::new(small().observe_only(true).build().unwrap());
    let handle = bench.breaker.handle();
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    for _ in 0..10 {
        // Would be rejected; the outcome counts nowhere.
        let permit = bench.ask().unwrap();
        assert!(!permit.is_probe());
        bench.end(permit, Class::Failure);
        bench.revoke(bench.ask().unwrap());
    }
    assert_eq!(
        (handle.state(), handle.rejected(), handle.late()),
        (State::Open, 20, 0)
    );
    bench.pass(secs(1));
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    assert!(first.is_probe() && second.is_probe());
    let third = bench.ask().unwrap();
    assert!(!third.is_probe());
    bench.end(third, Class::Failure);
    assert_eq!(bench.state(), "half-open");
    bench.end(first, Class::Success);
    bench.end(second, Class::Success);
    assert_eq!(bench.state(), "closed");
    assert_eq!(handle.rejected(), 21);
    handle.set_observe_only(false).unwrap();
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    assert!(bench.ask().is_err(), "from now on it rejects");
}

#[test]
fn an_observing_breaker_that_is_forced_open_admits() {
    let bench = Bench::new(small().observe_only(true).build().unwrap());
    bench.breaker.handle().force_open();
    assert!(bench.ask().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_switch_opens_for_a_time_and_probes_after_it() {
    let mut bench = Bench::small();
    let handle = bench.breaker.handle();
    let sync = |bench: &mut Bench| bench.now = Instant::now();
    sync(&mut bench);
    bench.call(Class::Success);
    assert!(handle.trip(secs(30)));
    let latest = handle.last_transition().unwrap();
    assert_eq!(
        (latest.to, latest.reason),
        (State::Open, TransitionReason::Tripped)
    );
    assert_eq!((bench.rejected(), handle.opened()), (Some(secs(30)), 1));
    // Again, as a health check does that still fails.
    advance(secs(20)).await;
    assert!(handle.trip(secs(30)));
    sync(&mut bench);
    assert_eq!((bench.rejected(), handle.opened()), (Some(secs(30)), 1));
    assert!(handle.trip(millis(1)), "and never shortens");
    assert_eq!(bench.rejected(), Some(secs(30)));
    advance(secs(30)).await;
    sync(&mut bench);
    assert!(bench.ask().unwrap().is_probe());
    // Shorter than an opening: the opening counts.
    handle.reset();
    assert!(handle.trip(millis(1)));
    assert_eq!(bench.rejected(), Some(secs(1)));
}

#[test]
fn the_handle_shows_the_last_transition_and_the_time_to_the_next_probe() {
    let mut bench = Bench::small();
    let handle = bench.breaker.handle();
    assert_eq!(handle.last_transition(), None);
    bench.call(Class::Failure);
    bench.pass(secs(3));
    bench.call(Class::Failure);
    let latest = handle.last_transition().unwrap();
    assert_eq!((latest.from, latest.to), (State::Closed, State::Open));
    assert_eq!(
        (latest.reason, latest.at),
        (TransitionReason::FailureRate, bench.now)
    );
    assert_eq!((latest.generation, latest.key), (1, None));
    bench.pass(millis(400));
    assert_eq!(handle.retry_after(bench.now), Some(millis(600)));
    assert_eq!(handle.admitted_concurrency(), Some(0));
    bench.pass(millis(600));
    _ = bench.ask();
    assert_eq!(handle.admitted_concurrency(), Some(2));
}

#[test]
fn the_open_keys_of_a_breaker_without_keys_are_itself() {
    let bench = Bench::open();
    let handle = bench.breaker.handle();
    let open = handle.open_keys(10, bench.now);
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].key.as_deref(), open[0].state), (None, State::Open));
    assert_eq!(open[0].retry_after, Some(secs(1)));
    assert!(handle.open_keys(0, bench.now).is_empty());
    handle.reset();
    assert!(handle.open_keys(10, bench.now).is_empty());
    assert!(
        CircuitBreaker::new()
            .handle()
            .open_keys(10, bench.now)
            .is_empty()
    );
}
