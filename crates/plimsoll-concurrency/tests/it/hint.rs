//! The retry hint of rejections: an estimate that is bounded and decays.

use std::time::Duration;

use http::Request;
use plimsoll_concurrency::{
    ConcurrencyLimit, ConcurrencyLimitPermit, FairShare, InvalidConcurrencyLimit, Partitions,
};
use plimsoll_core::{
    Class, Kind, Outcome, Policy, Rejection,
    policy::{Then, Verdict},
};
use tokio::time::{Instant, advance};

use crate::{Call, Limit, MS, call, with_deadlines};

const SECOND: Duration = Duration::from_secs(1);

fn limit(slots: usize) -> Limit {
    with_deadlines(ConcurrencyLimit::new(slots).unwrap())
}

/// Takes all slots, and ends all calls after this time.
async fn calls_of(limit: &Limit, time: Duration) {
    let all: Vec<_> = (0..limit.handle().limit()).map(|_| call(limit)).collect();
    advance(time).await;
    all.into_iter().for_each(Call::finish);
}

/// Returns the hint of a rejection now, with all slots taken.
fn hint(limit: &Limit) -> Duration {
    let _all: Vec<_> = (0..limit.handle().limit()).map(|_| call(limit)).collect();
    call(limit).rejection().unwrap().retry_after().unwrap()
}

/// Each call but the first takes the slot of another and ends while all slots are taken.
async fn busy_calls_of(limit: &Limit, count: usize, time: Duration) {
    let handle = limit.handle();
    let mut running: Vec<_> = (0..handle.limit()).map(|_| call(limit)).collect();
    for _ in 0..count {
        advance(time / handle.limit() as u32).await;
        running.remove(0).finish();
        running.push(call(limit));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_make_no_hint_longer_than_a_minute() {
    let limit = limit(1);
    for _ in 0..10 {
        calls_of(&limit, 1500 * SECOND).await;
    }
    assert_eq!(hint(&limit), 60 * SECOND);
    limit.handle().set_max_retry_after(10 * SECOND).unwrap();
    assert_eq!(hint(&limit), 10 * SECOND);
    let _running = call(&limit);
    assert_eq!(limit.handle().retry_after(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_hint_recovers_from_slow_bodies_when_calls_are_fast_again() {
    let limit = limit(10);
    busy_calls_of(&limit, 100, 20 * MS).await;
    calls_of(&limit, 1500 * SECOND).await;
    assert!(hint(&limit) <= 60 * SECOND);
    // A tenth of a second at 500 calls per second.
    busy_calls_of(&limit, 50, 20 * MS).await;
    let hint = hint(&limit);
    assert!(hint < 3 * SECOND, "{hint:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_period_is_forgotten_while_the_limit_is_not_reached() {
    let limit = limit(10);
    for _ in 0..10 {
        calls_of(&limit, 100 * SECOND).await;
    }
    assert!(hint(&limit) > 50 * SECOND);
    // The estimate holds until no call has ended for as long as one takes.
    advance(60 * SECOND).await;
    assert!(hint(&limit) > 50 * SECOND);
    // Idle time, and fast calls that do not use all slots.
    let mut last = hint(&limit);
    for minute in 0..3 {
        for _ in 0..60 {
            let fast = call(&limit);
            advance(SECOND).await;
            fast.finish();
        }
        let now = hint(&limit);
        assert!(now < last, "{minute}: {now:?} after {last:?}");
        last = now;
    }
    assert!(last < 1100 * MS, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_calls_after_idle_time_outweigh_older_ones() {
    let limit = limit(4);
    for _ in 0..50 {
        calls_of(&limit, 30 * SECOND).await;
    }
    advance(600 * SECOND).await;
    calls_of(&limit, 20 * MS).await;
    let hint = hint(&limit);
    assert!(hint < 25 * MS, "{hint:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_estimate_does_not_decay() {
    let limit = limit(4);
    calls_of(&limit, 20 * MS).await;
    advance(3600 * SECOND).await;
    assert_eq!(hint(&limit), 20 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_longest_hint_bounds_the_default_hint_and_not_a_hint_that_is_set() {
    let bounded = ConcurrencyLimit::new(1)
        .unwrap()
        .max_retry_after(300 * MS)
        .unwrap();
    let limit = with_deadlines(bounded);
    let handle = limit.handle();
    assert_eq!(handle.max_retry_after(), 300 * MS);
    assert_eq!(hint(&limit), 300 * MS);
    handle.set_retry_after(Some(120 * SECOND)).unwrap();
    assert_eq!(hint(&limit), 120 * SECOND);
}

#[test]
fn law_09_a_longest_hint_out_of_bounds_is_an_error() {
    for bad in [Duration::ZERO, 86_401 * SECOND] {
        let error = ConcurrencyLimit::new(1)
            .unwrap()
            .max_retry_after(bad)
            .unwrap_err();
        assert_eq!(error, InvalidConcurrencyLimit::MaxRetryAfter(bad));
        assert!(
            error.to_string().contains("1 nanosecond to 1 day"),
            "{error}"
        );
    }
    let handle = ConcurrencyLimit::new(1).unwrap().handle();
    assert!(handle.set_max_retry_after(Duration::ZERO).is_err());
    assert_eq!(handle.max_retry_after(), 60 * SECOND);
}

/// The verdict of both policies on one more request: a permit, which the caller keeps, or a
/// rejection.
fn ask<P: Policy<Request<()>>>(
    front: &P,
    limit: &ConcurrencyLimit,
) -> Result<(P::Permit, ConcurrencyLimitPermit), Rejection> {
    match Then(front, limit).admit(&mut Request::new(()), Instant::now()) {
        Verdict::Admit(permit) => Ok(permit),
        Verdict::Reject(rejection) => Err(rejection),
        Verdict::Wait(_) => unreachable!("there is no queue"),
    }
}

/// A limit of ten slots, `later` than ten calls that held them for 25 minutes.
async fn after_slow_bodies(later: Duration) -> ConcurrencyLimit {
    let limit = ConcurrencyLimit::new(10).unwrap();
    let all: Vec<_> = (0..10).map(|_| ask(&(), &limit).unwrap()).collect();
    advance(1500 * SECOND).await;
    let outcome = Outcome::new(Class::Success, 1500 * SECOND, Instant::now());
    for ((), permit) in all {
        let outcome = outcome.clone();
        Policy::<Request<()>>::finish(&limit, permit, &outcome);
    }
    advance(later).await;
    limit
}

#[tokio::test(start_paused = true)]
async fn every_policy_with_hints_bounds_and_decays_them() {
    for (later, least, most) in [
        // Fair shares reject when nine of ten slots are taken.
        (Duration::ZERO, 54 * SECOND, 60 * SECOND),
        (600 * SECOND, 900 * MS, 1010 * MS),
    ] {
        let check = |rejection: Rejection, policy, kind| {
            assert_eq!((rejection.policy(), rejection.kind()), (policy, kind));
            let wait = rejection.retry_after().unwrap();
            assert!(
                (least..=most).contains(&wait),
                "{policy} {kind:?}: {wait:?}"
            );
        };

        let limit = after_slow_bodies(later).await;
        let all: Vec<_> = (0..10).map(|_| ask(&(), &limit).unwrap()).collect();
        check(ask(&(), &limit).unwrap_err(), "concurrency", Kind::Full);
        let route = limit.route().reject_as_over_quota();
        check(
            ask(&(), &route).unwrap_err(),
            "concurrency",
            Kind::OverQuota,
        );
        let read = |_: &Request<()>| Some("none");
        let partitions = Partitions::new(limit.handle(), [("none", 0.0)], read).unwrap();
        check(
            ask(&partitions, &limit).unwrap_err(),
            "partition",
            Kind::Full,
        );
        drop(all);

        let limit = after_slow_bodies(later).await;
        let large = FairShare::new(limit.handle());
        let small = large.cell();
        let mut all: Vec<_> = (0..10).map(|_| ask(&large, &limit).unwrap()).collect();
        for _ in 0..2 {
            advance(5 * MS).await;
            assert_eq!(ask(&small, &limit).unwrap_err().kind(), Kind::Full);
        }
        let now = Instant::now();
        let gate = Then(&large, &limit);
        Policy::<Request<()>>::revoke(&gate, all.pop().unwrap(), now, now);
        check(
            ask(&large, &limit).unwrap_err(),
            "fair-share",
            Kind::OverQuota,
        );
    }
}
