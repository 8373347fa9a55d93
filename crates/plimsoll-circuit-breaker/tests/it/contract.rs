//! The contract of every policy.

use std::time::Duration;

use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_core::{
    Class, Outcome, Policy,
    policy::Verdict,
    test_kit::{Contract, KitRequest},
};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_closed_breaker_keeps_the_laws() {
    // A permit of a closed breaker holds nothing; the call leaves a result in the window.
    Contract::new(CircuitBreaker::new, |breaker| {
        breaker.handle().calls().into()
    })
    .holds_nothing()
    .consumes()
    .check_all()
    .await;
}

/// A breaker whose short opening has ended: half-open from the first request on.
fn due() -> CircuitBreaker {
    let breaker = CircuitBreaker::builder()
        .window(1)
        .open_for(Duration::from_millis(1))
        .probes(2)
        .successes(100)
        .build()
        .unwrap();
    let before = Instant::now() - Duration::from_secs(1);
    let mut req = plimsoll_core::test_kit::request(plimsoll_core::test_kit::Script::Hang);
    let Verdict::Admit(permit) = breaker.admit(&mut req, before) else {
        panic!("a closed breaker admits")
    };
    let failed = Outcome::new(Class::Failure, Duration::ZERO, before);
    Policy::<KitRequest>::finish(&breaker, permit, &failed);
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_keeps_the_laws() {
    Contract::new(due, |breaker| breaker.handle().probing() as u64)
        .capacity(2)
        .check_all()
        .await;
}
