//! Adaptive throttling: the formula at work.

use std::time::Duration;

use plimsoll_core::{
    Class, Criticality, Kind, Outcome, Policy, Priority, Verdict, test_kit::Contract,
};
use plimsoll_load_shed::{AdaptiveThrottle, InvalidLoadShed, ThrottlePermit};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

type Throttle = AdaptiveThrottle<fn(&Priority) -> Priority>;

fn throttle() -> Throttle {
    AdaptiveThrottle::new().priorities(|priority| *priority)
}

fn admit(throttle: &Throttle, criticality: Criticality, now: Instant) -> Option<ThrottlePermit> {
    match throttle.admit(&mut Priority::new(criticality), now) {
        Verdict::Admit(permit) => Some(permit),
        Verdict::Reject(_) => None,
        Verdict::Wait(never) => match never {},
    }
}

fn finish(throttle: &Throttle, permit: ThrottlePermit, class: Class, now: Instant) {
    let outcome = Outcome::new(class, Duration::ZERO, now);
    Policy::<Priority>::finish(throttle, permit, &outcome);
}

/// Offers 1,000 requests a second for five minutes to a service that accepts 100, and tells how many were sent a second in the
/// second half.
fn sent_to_a_tenth(multiplier: f64) -> f64 {
    fastrand::seed(5);
    let throttle = throttle().multiplier(multiplier).unwrap();
    let start = Instant::now();
    let mut sent = 0;
    let mut room = 0.0_f64;
    for n in 0..300_000_u64 {
        let now = start + Duration::from_millis(n);
        room = (room + 0.1).min(10.0);
        if let Some(permit) = admit(&throttle, Criticality::Critical, now) {
            sent += u64::from(n >= 150_000);
            let accepts = room >= 1.0;
            room -= f64::from(u8::from(accepts));
            let class = if accepts {
                Class::Success
            } else {
                Class::Overloaded
            };
            finish(&throttle, permit, class, now);
        }
    }
    sent as f64 / 150.0
}

#[test]
fn what_is_sent_settles_at_k_times_what_is_accepted() {
    for (multiplier, expected) in [(2.0, 200.0), (1.0 / 0.6, 166.7)] {
        let sent = sent_to_a_tenth(multiplier);
        // Were local rejects not counted, it would be 447 with K = 2.
        let off = (sent / expected - 1.0).abs();
        assert!(off < 0.06, "K = {multiplier}: {sent} a second");
    }
}

/// Ten requests that end like this in each criticality.
fn after(class: Class, throttle: &Throttle, now: Instant) -> f64 {
    for _ in 0..10 {
        let permit = admit(throttle, Criticality::Critical, now);
        finish(throttle, permit.expect("too few to tell"), class, now);
    }
    throttle.handle().probability(Criticality::Critical, now)
}

#[test]
fn the_class_decides_what_counts() {
    let now = Instant::now();
    let ten_elevenths = 10.0 / 11.0;
    for (class, only_overload, expected, requests) in [
        (Class::Success, false, 0.0, 10),
        (Class::Overloaded, false, ten_elevenths, 10),
        (Class::Overloaded, true, ten_elevenths, 10),
        (Class::Failure, false, ten_elevenths, 10),
        (Class::Failure, true, 0.0, 10),
        (Class::Ignored, false, 0.0, 0),
        (Class::Cancelled, false, 0.0, 0),
    ] {
        let throttle = throttle();
        let throttle = if only_overload {
            throttle.only_overload()
        } else {
            throttle
        };
        let probability = after(class, &throttle, now);
        assert!(
            (probability - expected).abs() < 1e-9,
            "{class:?}: {probability}"
        );
        let counted = throttle.handle().requests(Criticality::Critical, now);
        assert_eq!(counted, requests, "{class:?}");
    }
}

#[test]
fn criticalities_are_judged_apart() {
    let (throttle, now) = (throttle(), Instant::now());
    after(Class::Overloaded, &throttle, now);
    let handle = throttle.handle();
    assert!(handle.probability(Criticality::Critical, now) > 0.9);
    assert_eq!(handle.probability(Criticality::CriticalPlus, now), 0.0);
    for _ in 0..100 {
        let permit = admit(&throttle, Criticality::CriticalPlus, now).expect("all is well");
        finish(&throttle, permit, Class::Success, now);
    }
    let refused = (0..100).filter(|_| admit(&throttle, Criticality::Critical, now).is_none());
    assert!(refused.count() > 80);
    assert!(handle.shed(Criticality::Critical) > 80);
}

#[test]
fn too_few_requests_tell_nothing() {
    let (throttle, now) = (throttle().at_least(11), Instant::now());
    assert_eq!(after(Class::Overloaded, &throttle, now), 0.0);
    let permit = admit(&throttle, Criticality::Critical, now).unwrap();
    finish(&throttle, permit, Class::Overloaded, now);
    assert!(throttle.handle().probability(Criticality::Critical, now) > 0.9);
}

#[test]
fn the_window_expires_though_nobody_sends() {
    let (throttle, now) = (throttle(), Instant::now());
    assert!(after(Class::Overloaded, &throttle, now) > 0.9);
    let handle = throttle.handle();
    assert!(handle.probability(Criticality::Critical, now + 110 * SECOND) > 0.9);
    assert_eq!(
        handle.probability(Criticality::Critical, now + 121 * SECOND),
        0.0
    );
}

#[test]
fn an_accept_counts_where_its_request_does() {
    let (throttle, now) = (throttle(), Instant::now());
    let permits: Vec<_> = (0..10)
        .map(|_| admit(&throttle, Criticality::Critical, now).unwrap())
        .collect();
    let handle = throttle.handle();
    for permit in permits {
        finish(&throttle, permit, Class::Success, now + 100 * SECOND);
    }
    assert_eq!(
        handle.accepts(Criticality::Critical, now + 100 * SECOND),
        10
    );
    assert_eq!(handle.accepts(Criticality::Critical, now + 121 * SECOND), 0);
}

#[test]
fn what_a_later_policy_refuses_is_not_counted() {
    let (throttle, now) = (throttle(), Instant::now());
    for _ in 0..10 {
        let permit = admit(&throttle, Criticality::Critical, now).unwrap();
        Policy::<Priority>::revoke(&throttle, permit, now, now);
    }
    assert_eq!(throttle.handle().requests(Criticality::Critical, now), 0);
}

#[test]
fn settings_are_checked_and_a_refusal_says_who_refused() {
    for bad in [0.99, 101.0, f64::NAN, f64::INFINITY] {
        let error = AdaptiveThrottle::new().multiplier(bad).unwrap_err();
        assert!(matches!(error, InvalidLoadShed::Multiplier(_)));
    }
    let error = AdaptiveThrottle::new().window(SECOND / 2).unwrap_err();
    assert_eq!(error, InvalidLoadShed::ThrottleWindow(SECOND / 2));

    let (throttle, now) = (throttle().retry_after(3 * SECOND).unwrap(), Instant::now());
    after(Class::Overloaded, &throttle, now);
    let rejection = (0..1000).find_map(|_| match throttle.admit(&mut Priority::default(), now) {
        Verdict::Reject(rejection) => Some(rejection),
        _ => None,
    });
    let rejection = rejection.unwrap();
    assert_eq!(
        (rejection.policy(), rejection.kind()),
        ("adaptive-throttle", Kind::Full)
    );
    assert_eq!(rejection.wait(), Some(3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn adaptive_throttle_keeps_the_laws() {
    // All requests the kit sends are few enough to tell nothing.
    let make = || AdaptiveThrottle::new().at_least(1_000_000);
    Contract::new(make).check_all().await;
}
