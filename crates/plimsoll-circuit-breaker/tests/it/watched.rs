//! Transitions as a stream.

use plimsoll_circuit_breaker::{CircuitBreaker, State, TransitionReason};
use plimsoll_core::Class;
use tokio::{task::yield_now, time::timeout};

use super::{Bench, secs};

#[tokio::test(start_paused = true)]
async fn a_reader_gets_each_transition_in_order() {
    let mut bench = Bench::small();
    let mut transitions = bench.breaker.handle().transitions();
    let reader = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(of) = transitions.next().await {
            seen.push((of.to.as_str(), of.reason.as_str(), transitions.missed()));
        }
        seen
    });
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    for _ in 0..2 {
        yield_now().await;
    }
    bench.pass(secs(1));
    bench.call(Class::Success);
    for _ in 0..2 {
        yield_now().await;
    }
    bench.call(Class::Success);
    drop(bench);
    assert_eq!(
        reader.await.unwrap(),
        [
            ("open", "failure-rate", 0),
            ("half-open", "opening-passed", 0),
            ("closed", "probes-succeeded", 0)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_the_latest_and_the_number_missed() {
    let breaker = CircuitBreaker::new();
    let handle = breaker.handle();
    handle.force_open();
    let mut transitions = handle.transitions();
    for _ in 0..100 {
        handle.force_closed();
        handle.force_open();
    }
    let latest = transitions.next().await.unwrap();
    assert_eq!((latest.to, transitions.missed()), (State::ForcedOpen, 199));
    let nothing = timeout(secs(1), transitions.next()).await;
    assert!(nothing.is_err(), "each is returned once");
    handle.automatic();
    let latest = transitions.next().await.unwrap();
    assert_eq!(
        (latest.reason, transitions.missed()),
        (TransitionReason::Set, 0)
    );
    drop((breaker, handle));
    assert_eq!(transitions.next().await, None);
}
