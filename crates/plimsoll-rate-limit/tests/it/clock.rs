//! Clocks that run, stand still, jump and go backwards.

use std::time::Duration;

use plimsoll_rate_limit::Quota;
use tokio::time::Instant;

use crate::{ask, greedy, limit, ms, revoke};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn the_policy_conforms_to_the_published_vector() {
    // T = 100 ms, τ = 300 ms.
    let limit = limit(Quota::per_second(10).burst(4));
    let start = Instant::now();
    for (at, expected) in [
        (0, Ok(3)),
        (0, Ok(2)),
        (0, Ok(1)),
        (0, Ok(0)),
        (0, Err(100)),
        (50, Err(50)),
        (100, Ok(0)),
        (100, Err(100)),
        (150, Err(50)),
        (200, Ok(0)),
        (1000, Ok(3)),
        (1000, Ok(2)),
        (1000, Ok(1)),
        (1000, Ok(0)),
        (1000, Err(100)),
    ] {
        let now = start + ms(at);
        let got = ask(&limit, now).map(|_| limit.available(now));
        assert_eq!(got, expected.map_err(ms), "at {at} ms");
    }
}

#[test]
fn the_wait_is_exact_to_the_nanosecond() {
    let limit = limit(Quota::per_second(3).burst(1));
    let start = Instant::now();
    assert!(ask(&limit, start).is_ok());
    let wait = ask(&limit, start).expect_err("spent");
    assert_eq!(wait, Duration::from_nanos(333_333_334));
    let almost = start + wait - Duration::from_nanos(1);
    assert_eq!(
        ask(&limit, almost).expect_err("too early"),
        Duration::from_nanos(1)
    );
    assert!(ask(&limit, start + wait).is_ok());
}

#[test]
fn a_clock_that_stands_still_refills_nothing() {
    let limit = limit(Quota::per_second(1_000_000).burst(7));
    let now = Instant::now();
    assert_eq!(greedy(&limit, now), 7);
    for _ in 0..1000 {
        assert!(ask(&limit, now).is_err());
    }
}

#[test]
fn a_jump_refills_the_burst_and_no_more() {
    let limit = limit(Quota::per_second(100).burst(20));
    let start = Instant::now();
    for jump in [Duration::ZERO, DAY, DAY * 365, DAY * 365 * 34] {
        assert_eq!(greedy(&limit, start + jump), 20, "after {jump:?}");
    }
}

#[test]
fn a_clock_at_the_end_of_time_stands_still() {
    let limit = limit(Quota::per_second(100).burst(20));
    let start = Instant::now();
    assert!(ask(&limit, start).is_ok());
    assert_eq!(greedy(&limit, start + DAY * 365 * 100), 20);
    assert_eq!(greedy(&limit, start + DAY * 365 * 200), 0);
}

#[test]
fn a_clock_that_goes_backwards_admits_no_more() {
    let limit = limit(Quota::per_second(10).burst(4));
    let (before, start) = (Instant::now(), Instant::now() + DAY);
    assert!(ask(&limit, before).is_ok());
    assert_eq!(greedy(&limit, start), 4);
    for back in [ms(1), ms(1000), DAY, DAY * 2] {
        assert_eq!(greedy(&limit, start - back), 0, "{back:?} back");
    }
    assert_eq!(
        greedy(&limit, start + ms(100)),
        1,
        "the debt was not lengthened"
    );
}

#[test]
fn a_rejected_request_takes_no_token() {
    let limit = limit(Quota::per_second(10).burst(2));
    let start = Instant::now();
    assert_eq!(greedy(&limit, start), 2);
    for _ in 0..100 {
        assert_eq!(ask(&limit, start + ms(40)).expect_err("spent"), ms(60));
    }
    assert!(ask(&limit, start + ms(100)).is_ok());
}

#[test]
fn revoked_tokens_are_refunded_in_full_in_any_order() {
    let limit = limit(Quota::per_second(10).burst(5));
    let now = Instant::now();
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let permits: Vec<_> = (0..5).map(|_| ask(&limit, now).expect("full")).collect();
        assert!(ask(&limit, now).is_err());
        for at in order {
            revoke(&limit, permits[at], now, now);
        }
        assert_eq!(limit.available(now), 5, "{order:?}");
    }
}

#[test]
fn a_revoked_token_is_not_refilled_twice() {
    let limit = limit(Quota::per_second(10).burst(4));
    let start = Instant::now();
    let early = ask(&limit, start).expect("full");
    // By then the clock has refilled it.
    let later = start + ms(1000);
    assert_eq!(greedy(&limit, later), 4);
    revoke(&limit, early, start, later);
    assert_eq!(greedy(&limit, later), 0);
}

#[test]
fn a_token_revoked_after_a_wait_is_refunded_while_the_bucket_is_drained() {
    let limit = limit(Quota::per_second(10).burst(10));
    let start = Instant::now();
    for _ in 0..9 {
        assert!(ask(&limit, start).is_ok());
    }
    let queued = ask(&limit, start).expect("the last one");
    // Other requests take what is refilled while it is queued.
    assert_eq!(greedy(&limit, start + ms(500)), 5);
    assert_eq!(limit.available(start + ms(500)), 0);
    revoke(&limit, queued, start, start + ms(500));
    assert_eq!(limit.available(start + ms(500)), 1);
}
