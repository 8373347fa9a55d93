//! Quotas that are changed while they are in use.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use plimsoll_rate_limit::Quota;
use tokio::time::Instant;

use crate::{ask, greedy, limit, ms, revoke};

#[test]
fn tokens_that_were_taken_stay_taken() {
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
    // Five tokens over the new burst, and one for the request.
    assert_eq!(ask(&limit, now).expect_err("over the new burst"), ms(6000));
    assert_eq!(handle.quota(), Quota::per_second(1).burst(10));
}

/// Takes all of one quota, changes to another one, and changes back.
fn there_and_back(quota: Quota, other: Quota) {
    let limit = limit(quota);
    let (handle, now) = (limit.handle(), Instant::now());
    assert!(greedy(&limit, now) > 0);
    handle.set_quota(other).expect("valid");
    assert!(ask(&limit, now).is_err(), "{quota:?} to {other:?}");
    handle.set_quota(quota).expect("valid");
    assert_eq!(greedy(&limit, now), 0, "{quota:?} to {other:?} and back");
}

#[test]
fn a_quota_that_is_changed_and_changed_back_frees_nothing() {
    let second = Quota::per_second(100);
    let minute = Quota::per_minute(100);
    for (quota, other) in [
        (second, second.burst(50)),
        (second, Quota::per_second(3)),
        (second, Quota::per_hour(1)),
        (minute.fixed_window(), Quota::per_minute(50).fixed_window()),
        (minute.fixed_window(), Quota::per_minute(1).fixed_window()),
        (
            minute.sliding_window(),
            Quota::per_minute(9).sliding_window(),
        ),
        (minute.sliding_window(), Quota::per_minute(9).fixed_window()),
        (minute.fixed_window(), Quota::per_hour(9).fixed_window()),
        (minute, Quota::per_minute(50).fixed_window()),
        (minute.fixed_window(), Quota::per_minute(50)),
        (Quota::per_calendar_day(100), Quota::per_calendar_day(9)),
    ] {
        there_and_back(quota, other);
    }
}

#[test]
fn a_quota_that_is_toggled_under_load_admits_no_more_than_the_larger_one() {
    let (large, small) = (Quota::per_second(100), Quota::per_second(100).burst(50));
    let limit = limit(large);
    let (handle, start) = (limit.handle(), Instant::now());
    let mut admitted = 0;
    for tenth in 0..=1000 {
        admitted += greedy(&limit, start + ms(100 * tenth));
        let next = if tenth % 2 == 0 { small } else { large };
        handle.set_quota(next).expect("valid");
    }
    assert!((10_000..=10_100).contains(&admitted), "{admitted}");
}

#[test]
fn a_debt_is_the_same_number_of_tokens_at_another_rate() {
    let limit = limit(Quota::per_second(100).burst(99_900));
    let (handle, now) = (limit.handle(), Instant::now());
    assert_eq!(greedy(&limit, now), 99_900);
    let faster = Quota::per_second(101).burst(100);
    handle.set_quota(faster).expect("valid");
    // All but 99 of them are refilled first.
    let wait = ask(&limit, now).expect_err("in debt").as_secs_f64();
    assert!((wait - 99_801.0 / 101.0).abs() < 0.001, "{wait}");
}

#[test]
fn a_raised_quota_shortens_debts() {
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
    // The rejection converts the debt, which is then refilled at the new rate.
    assert_eq!(ask(&limit, now).expect_err("still spent"), ms(100));
    assert_eq!(greedy(&limit, now + ms(1000)), 10);
}

#[test]
fn an_invalid_quota_changes_nothing() {
    let limit = limit(Quota::per_second(10));
    assert!(limit.handle().set_quota(Quota::per_second(0)).is_err());
    assert_eq!(limit.handle().quota(), Quota::per_second(10));
}

#[test]
fn a_quota_can_be_changed_many_times() {
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
fn a_token_of_a_replaced_quota_is_refunded_to_the_new_one() {
    let minute = Quota::per_minute(4);
    for (old, new) in [
        (
            Quota::per_second(10).burst(4),
            Quota::per_second(10).burst(5),
        ),
        (Quota::per_second(10).burst(4), Quota::per_hour(5)),
        (Quota::per_hour(4), Quota::per_second(10).burst(5)),
        (minute.fixed_window(), Quota::per_minute(5).fixed_window()),
        (
            minute.sliding_window(),
            Quota::per_minute(5).sliding_window(),
        ),
    ] {
        let limit = limit(old);
        let now = Instant::now();
        let (first, second) = (
            ask(&limit, now).expect("full"),
            ask(&limit, now).expect("full"),
        );
        limit.handle().set_quota(new).expect("valid");
        revoke(&limit, first, now, now);
        assert_eq!(limit.available(now), 4, "{old:?} to {new:?}");
        assert!(ask(&limit, now).is_ok());
        assert_eq!(limit.available(now), 3);
        revoke(&limit, second, now, now);
        assert_eq!(limit.available(now), 4, "{old:?} to {new:?}");
    }
}

/// Waiters that are rejected after a change of the quota: the bucket is never fuller than without
/// them, and lacks little.
#[test]
fn waiters_are_refunded_after_a_change() {
    for rate in [10, 50, 100] {
        for order in [1, 13, 99] {
            let limit = limit(Quota::per_second(50).burst(100));
            let start = Instant::now();
            let permits: Vec<_> = (0..100)
                .map(|_| ask(&limit, start).expect("full"))
                .collect();
            let quota = Quota::per_second(rate).burst(100);
            limit.handle().set_quota(quota).expect("valid");
            assert!(ask(&limit, start).is_err());
            let now = start + ms(50);
            for n in 0..100 {
                let at = n * order % 100;
                if at != 0 {
                    revoke(&limit, permits[at], start, now);
                }
            }
            let left = limit.available(now);
            assert!((95..=100).contains(&left), "{left} at {rate}/s, by {order}");
        }
    }
}

#[test]
fn one_token_of_a_replaced_quota_is_refunded_as_one_token() {
    let limit = limit(Quota::per_second(10).burst(10));
    let now = Instant::now();
    let permits: Vec<_> = (0..10).map(|_| ask(&limit, now).expect("full")).collect();
    let faster = Quota::per_second(20).burst(10);
    limit.handle().set_quota(faster).expect("valid");
    assert!(ask(&limit, now).is_err(), "the tokens stay taken");
    revoke(&limit, permits[9], now, now);
    assert_eq!(limit.available(now), 1);
}

#[test]
fn tokens_that_a_faster_quota_has_refilled_are_not_refunded_again() {
    let slow = Quota::per_second(10).burst(10);
    let limit = limit(slow);
    let (handle, start) = (limit.handle(), Instant::now());
    let permits: Vec<_> = (0..10).map(|_| ask(&limit, start).expect("full")).collect();
    handle
        .set_quota(Quota::per_second(1_000).burst(10))
        .expect("valid");
    assert!(ask(&limit, start).is_err(), "the tokens stay taken");
    let now = start + ms(50);
    assert_eq!(limit.available(now), 10, "refilled at the faster rate");
    handle.set_quota(slow).expect("valid");
    assert_eq!(greedy(&limit, now), 10);
    revoke(&limit, permits[9], start, now);
    assert_eq!(limit.available(now), 0);
}

#[test]
fn rejections_are_counted() {
    let limit = limit(Quota::per_second(10).burst(1));
    let now = Instant::now();
    greedy(&limit, now);
    assert!(ask(&limit, now).is_err());
    assert_eq!(limit.handle().rejected(), 2);
}

/// A fast small quota and a slow large one: the increment of one with the capacity of the other
/// would be a burst of a million.
#[test]
fn no_read_mixes_two_quotas() {
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
        let reads = (0..200_000).map(|_| limit.available(now));
        let mixed: Vec<_> = reads.filter(|seen| ![10, 1000].contains(seen)).collect();
        over.store(true, Relaxed);
        assert!(mixed.is_empty(), "{mixed:?}");
    });
}
