//! The formula of adaptive throttling, applied over time.

use std::time::Duration;

use plimsoll_client::{AdaptiveThrottle, InvalidAdaptiveThrottle, ThrottlePermit};
use plimsoll_core::{Class, Criticality, Kind, Outcome, Policy, Priority, policy::Verdict};
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

/// Offers 1,000 requests per second for five minutes to a service that accepts 100. Returns the
/// requests sent per second in the second half.
fn sent_to_a_tenth(multiplier: f64) -> f64 {
    fastrand::seed(5);
    let throttle = throttle().multiplier(multiplier).unwrap();
    // As published: with the default bound a fifth of the offered rate is always sent.
    let throttle = throttle.max_rejection(1.0).unwrap();
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
fn the_sent_rate_converges_to_k_times_the_accepted_rate() {
    for (multiplier, expected) in [(2.0, 200.0), (1.0 / 0.6, 166.7)] {
        let sent = sent_to_a_tenth(multiplier);
        // Without counting local rejections it would be 447 with K = 2.
        let off = (sent / expected - 1.0).abs();
        assert!(off < 0.06, "K = {multiplier}: {sent} a second");
    }
}

/// The probability after ten requests with this outcome.
fn after(class: Class, throttle: &Throttle, now: Instant) -> f64 {
    for _ in 0..10 {
        let permit = admit(throttle, Criticality::Critical, now);
        finish(
            throttle,
            permit.expect("too few requests to reject"),
            class,
            now,
        );
    }
    throttle.handle().probability(Criticality::Critical, now)
}

#[test]
fn the_class_decides_what_counts() {
    let now = Instant::now();
    let ten_elevenths = 10.0 / 11.0;
    let unbounded = || throttle().max_rejection(1.0).unwrap();
    for (class, only_overload, expected, requests) in [
        (Class::Success, false, 0.0, 10),
        (Class::Overloaded, false, ten_elevenths, 10),
        (Class::Overloaded, true, ten_elevenths, 10),
        (Class::Failure, false, ten_elevenths, 10),
        (Class::Failure, true, 0.0, 10),
        (Class::Ignored, false, 0.0, 10),
        (Class::Cancelled, false, 0.0, 0),
        (Class::Rejected, false, 0.0, 0),
    ] {
        let throttle = unbounded();
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
fn criticalities_are_counted_separately() {
    let (throttle, now) = (throttle(), Instant::now());
    after(Class::Overloaded, &throttle, now);
    let handle = throttle.handle();
    assert_eq!(handle.probability(Criticality::Critical, now), 0.8);
    assert_eq!(handle.probability(Criticality::CriticalPlus, now), 0.0);
    for _ in 0..100 {
        let permit = admit(&throttle, Criticality::CriticalPlus, now)
            .expect("no failures, so no rejections");
        finish(&throttle, permit, Class::Success, now);
    }
    let refused = (0..100).filter(|_| admit(&throttle, Criticality::Critical, now).is_none());
    let refused = refused.count() as u64;
    assert!((65..95).contains(&refused), "{refused} of 100");
    assert_eq!(handle.shed(Criticality::Critical), refused);
}

#[test]
fn too_few_requests_cause_no_rejection() {
    let (throttle, now) = (throttle().at_least(11), Instant::now());
    assert_eq!(after(Class::Overloaded, &throttle, now), 0.0);
    let permit = admit(&throttle, Criticality::Critical, now).unwrap();
    finish(&throttle, permit, Class::Overloaded, now);
    assert_eq!(
        throttle.handle().probability(Criticality::Critical, now),
        0.8
    );
}

#[test]
fn the_window_expires_without_requests() {
    let (throttle, now) = (throttle(), Instant::now());
    assert_eq!(after(Class::Overloaded, &throttle, now), 0.8);
    let handle = throttle.handle();
    assert_eq!(
        handle.probability(Criticality::Critical, now + 110 * SECOND),
        0.8
    );
    assert_eq!(
        handle.probability(Criticality::Critical, now + 121 * SECOND),
        0.0
    );
}

#[test]
fn a_request_and_its_accept_count_when_the_call_ends() {
    let (throttle, now) = (throttle(), Instant::now());
    let permits: Vec<_> = (0..10)
        .map(|_| admit(&throttle, Criticality::Critical, now).unwrap())
        .collect();
    let handle = throttle.handle();
    let counts = |after| {
        let at = now + after;
        let kind = Criticality::Critical;
        (handle.requests(kind, at), handle.accepts(kind, at))
    };
    assert_eq!(counts(Duration::ZERO), (0, 0));
    for permit in permits {
        finish(&throttle, permit, Class::Success, now + 100 * SECOND);
    }
    assert_eq!(counts(100 * SECOND), (10, 10));
    assert_eq!(counts(210 * SECOND), (10, 10));
    assert_eq!(counts(221 * SECOND), (0, 0));
}

#[test]
fn requests_that_a_later_policy_rejects_are_not_counted() {
    let (throttle, now) = (throttle(), Instant::now());
    for _ in 0..10 {
        let permit = admit(&throttle, Criticality::Critical, now).unwrap();
        Policy::<Priority>::revoke(&throttle, permit, now, now);
    }
    assert_eq!(throttle.handle().requests(Criticality::Critical, now), 0);
}

#[test]
fn invalid_settings_are_errors_and_a_rejection_names_its_policy() {
    for bad in [0.99, 101.0, f64::NAN, f64::INFINITY] {
        let error = AdaptiveThrottle::new().multiplier(bad).unwrap_err();
        assert!(matches!(error, InvalidAdaptiveThrottle::Multiplier(_)));
    }
    for bad in [0.0, 1.01, f64::NAN] {
        let error = AdaptiveThrottle::new().max_rejection(bad).unwrap_err();
        assert!(matches!(error, InvalidAdaptiveThrottle::MaxRejection(_)));
    }
    let handle = AdaptiveThrottle::new().handle();
    assert_eq!(handle.max_rejection(), 0.8);
    handle.set_max_rejection(0.5).unwrap();
    assert!(handle.set_max_rejection(2.0).is_err());
    assert_eq!(handle.max_rejection(), 0.5);
    let error = AdaptiveThrottle::new().window(SECOND / 2).unwrap_err();
    assert_eq!(error, InvalidAdaptiveThrottle::Window(SECOND / 2));

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
    assert_eq!(rejection.retry_after(), Some(3 * SECOND));
}

/// Sends calls that stay in flight.
fn send(throttle: &Throttle, calls: u32, now: Instant) -> Vec<ThrottlePermit> {
    let critical = |_| admit(throttle, Criticality::Critical, now);
    (0..calls).filter_map(critical).collect()
}

#[test]
fn a_cold_burst_is_sent() {
    let (throttle, now) = (throttle(), Instant::now());
    // No answer comes for half a minute, as from a model.
    for n in 0..30 {
        assert_eq!(
            send(&throttle, 100, now + n * SECOND).len(),
            100,
            "second {n}"
        );
    }
    // But a minute without any answer is a hung callee.
    let later = now + 66 * SECOND;
    assert!(throttle.handle().overdue(Criticality::Critical, later) > 0);
    assert!(throttle.handle().probability(Criticality::Critical, later) > 0.7);
}

#[test]
fn a_callee_that_hangs_is_detected_without_timeouts() {
    let (throttle, now) = (throttle(), Instant::now());
    for permit in send(&throttle, 20, now) {
        finish(&throttle, permit, Class::Success, now);
    }
    let handle = throttle.handle();
    let critical = Criticality::Critical;
    let mut held = Vec::new();
    for n in 0..10 {
        held.extend(send(&throttle, 20, now + n * SECOND));
    }
    let at = |seconds: u32| now + seconds * SECOND;
    assert_eq!(held.len(), 200, "nothing is known in the first buckets");
    assert!(handle.overdue(critical, at(15)) >= 100);
    assert!(handle.probability(critical, at(15)) > 0.5);
    // One head shows that the callee works.
    Policy::<Priority>::answered(&throttle, held.last_mut().unwrap());
    assert_eq!(handle.overdue(critical, at(16)), 0);
    assert_eq!(handle.probability(critical, at(16)), 0.0);
}

#[test]
fn a_call_with_a_head_is_not_overdue_however_long_its_body_is() {
    let (throttle, now) = (throttle(), Instant::now());
    let mut streams = send(&throttle, 100, now);
    for stream in &mut streams {
        Policy::<Priority>::answered(&throttle, stream);
    }
    for seconds in [10, 60, 119] {
        let later = now + seconds * SECOND;
        assert_eq!(throttle.handle().overdue(Criticality::Critical, later), 0);
    }
}

#[test]
fn calls_that_end_without_a_head_wait_no_longer() {
    let (throttle, now) = (throttle(), Instant::now());
    for class in [Class::Failure, Class::Cancelled, Class::Rejected] {
        for permit in send(&throttle, 5, now) {
            finish(&throttle, permit, class, now);
        }
    }
    for permit in send(&throttle, 5, now) {
        Policy::<Priority>::revoke(&throttle, permit, now, now);
    }
    let later = now + 100 * SECOND;
    assert_eq!(throttle.handle().overdue(Criticality::Critical, later), 0);
}

#[test]
fn a_slow_callee_is_not_taken_for_a_hung_one() {
    let (throttle, now) = (throttle(), Instant::now());
    // Its mean time to a head is 20 seconds.
    let outcome = Outcome::new(Class::Success, 20 * SECOND, now + 20 * SECOND);
    for permit in send(&throttle, 20, now) {
        Policy::<Priority>::finish(&throttle, permit, &outcome);
    }
    let held = send(&throttle, 50, now + 20 * SECOND);
    let overdue = |seconds| {
        let later = now + seconds * SECOND;
        throttle.handle().overdue(Criticality::Critical, later)
    };
    assert_eq!(overdue(59), 0);
    assert_eq!(overdue(70), held.len() as u64);
}
