//! One limit per key.

use std::time::Duration;

use plimsoll_core::{Kind, Missing, Policy, policy::Verdict};
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use tokio::time::Instant;

type Req = Option<u32>;

fn per_key(quota: Quota) -> KeyedRateLimit<fn(&Req) -> Option<u32>> {
    let key: fn(&Req) -> Option<u32> = |req| *req;
    RateLimit::new(quota)
        .expect("valid")
        .per_key(key, Missing::Reject(Kind::OverQuota), 1000)
        .expect("valid")
}

fn admits<P: Policy<Req>>(limit: &P, key: Req, now: Instant) -> bool {
    match limit.admit(&mut { key }, now) {
        Verdict::Admit(permit) => {
            limit.finish(permit, &outcome(now));
            true
        }
        Verdict::Reject(_) => false,
        Verdict::Wait(_) => unreachable!("a rate limit has no queue"),
    }
}

fn outcome(now: Instant) -> plimsoll_core::Outcome {
    plimsoll_core::Outcome::new(plimsoll_core::Class::Success, Duration::ZERO, now)
}

#[test]
fn each_key_has_its_own_bucket() {
    let limit = per_key(Quota::per_minute(60).burst(3));
    let now = Instant::now();
    for key in 0..50 {
        let admitted = (0..10).filter(|_| admits(&limit, Some(key), now)).count();
        assert_eq!(admitted, 3, "key {key}");
    }
    assert!(!admits(&limit, None, now));
}

#[test]
fn one_handle_changes_the_quota_of_every_key() {
    let limit = per_key(Quota::per_minute(60).burst(3));
    let now = Instant::now();
    assert!(admits(&limit, Some(1), now));
    let handle = limit.handle().limit();
    handle
        .set_quota(Quota::per_minute(60).burst(8))
        .expect("valid");
    assert_eq!((0..20).filter(|_| admits(&limit, Some(1), now)).count(), 7);
    assert_eq!((0..20).filter(|_| admits(&limit, Some(2), now)).count(), 8);
    assert_eq!(handle.rejected(), 13 + 12);
}

#[test]
fn an_evicted_key_gets_no_fresh_quota() {
    let limit = per_key(Quota::per_hour(1).burst(2));
    let now = Instant::now();
    for key in 0..1000 {
        let admitted = (0..3).filter(|_| admits(&limit, Some(key), now)).count();
        assert!(admitted <= 2, "key {key}");
    }
    // A flood of other keys, once and then twice each. No debt is lost.
    for key in 1000..20_000 {
        admits(&limit, Some(key), now);
    }
    assert!(limit.handle().inherited() > 10_000);
    for key in 20_000..40_000 {
        for _ in 0..2 {
            admits(&limit, Some(key), now);
        }
    }
    assert!(limit.handle().overflowed() > 10_000);
    let again = (0..1000)
        .filter(|key| admits(&limit, Some(*key), now))
        .count();
    assert_eq!(again, 0);
    let handle = limit.handle();
    assert_eq!(handle.keys(), handle.capacity());

    // Once the debts are refilled, keys evict each other, and each begins with a full quota.
    let (later, before) = (now + Duration::from_secs(3 * 60 * 60), handle.inherited());
    for key in 50_000..50_300 {
        assert!(admits(&limit, Some(key), later));
    }
    assert!(handle.inherited() - before < 10);
}
