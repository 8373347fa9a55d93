//! The quota, changed while it is in use.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use plimsoll_rate_limit::Quota;
use tokio::time::Instant;

use crate::{ask, greedy, limit, ms, revoke};

#[test]
fn what_is_spent_stays_spent() {
    let limit = limit(Quota::per_second(10).burst(20));
    let handle = limit.handle();
    let now = Instant::now();
    for _ in 0..15 {
        assert!(ask(&limit, now).is_ok());
    }
    handle
        .set_quota(Quota::per_hour(7).burst(100))
        .expect("valid");
    assert_eq!(limit.available(now), 85);
    handle
        .set_quota(Quota::per_second(1).burst(10))
        .expect("valid");
    assert_eq!(ask(&limit, now).expect_err("over the new burst"), ms(1000));
    assert_eq!(handle.quota(), Quota::per_second(1).burst(10));
}

#[test]
fn a_raised_quota_frees_those_in_debt() {
    let limit = limit(Quota::per_hour(10));
    let now = Instant::now();
    assert_eq!(greedy(&limit, now), 10);
    assert_eq!(
        ask(&limit, now).expect_err("spent"),
        Duration::from_secs(360)
    );
    limit
        .handle()
        .set_quota(Quota::per_second(10))
        .expect("valid");
    // Reckoned anew by a refusal, and paid off at the new pace from then on.
    assert_eq!(ask(&limit, now).expect_err("still spent"), ms(100));
    assert_eq!(greedy(&limit, now + ms(1000)), 10);
}

#[test]
fn a_bad_quota_changes_nothing() {
    let limit = limit(Quota::per_second(10));
    assert!(limit.handle().set_quota(Quota::per_second(0)).is_err());
    assert_eq!(limit.handle().quota(), Quota::per_second(10));
}

#[test]
fn many_changes_do_not_wear_it_out() {
    let limit = limit(Quota::per_second(10).burst(4));
    let handle = limit.handle();
    let start = Instant::now();
    for change in 0..100_u32 {
        let now = start + Duration::from_secs(change.into());
        assert_eq!(greedy(&limit, now), 4, "after {change} changes");
        handle
            .set_quota(Quota::per_second(10 + change).burst(4))
            .expect("valid");
    }
}

#[test]
fn a_token_of_a_replaced_quota_is_given_back_as_long_as_nobody_asked_under_the_new_one() {
    let limit = limit(Quota::per_second(10).burst(4));
    let now = Instant::now();
    let (first, second) = (
        ask(&limit, now).expect("full"),
        ask(&limit, now).expect("full"),
    );
    limit
        .handle()
        .set_quota(Quota::per_second(10).burst(5))
        .expect("valid");
    revoke(&limit, first, now, now);
    assert_eq!(limit.available(now), 4);
    assert!(ask(&limit, now).is_ok());
    revoke(&limit, second, now, now);
    assert_eq!(limit.available(now), 3);
}

#[test]
fn refusals_are_counted() {
    let limit = limit(Quota::per_second(10).burst(1));
    let now = Instant::now();
    greedy(&limit, now);
    assert!(ask(&limit, now).is_err());
    assert_eq!(limit.handle().refused(), 2);
}

/// A fast small quota and a slow large one: the increment of one with the tolerance of the other would be a burst of
/// a million.
#[test]
fn no_look_mixes_two_quotas() {
    let (small, large) = (
        Quota::per_second(1000).burst(10),
        Quota::per_second(1).burst(1000),
    );
    let limit = limit(small);
    let handle = limit.handle();
    let (now, over) = (Instant::now(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                handle.set_quota(large).expect("valid");
                handle.set_quota(small).expect("valid");
            }
        });
        let looks = (0..200_000).map(|_| limit.available(now));
        let mixed: Vec<_> = looks.filter(|seen| ![10, 1000].contains(seen)).collect();
        over.store(true, Relaxed);
        assert!(mixed.is_empty(), "{mixed:?}");
    });
}
