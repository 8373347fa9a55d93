//! A quota whose settings change keeps what was spent.

use plimsoll_rate_limit::Quota;

use crate::{
    ask, builder,
    scripts::{MS, Redis, START},
    server::Server,
};

const SECOND: u64 = 1000 * MS;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

#[test]
fn a_used_up_daily_quota_of_1_that_is_raised_to_24_has_23_left() {
    let mut redis = Redis::start();
    assert_eq!(redis.one(("g", DAY, 1), 1, START), Ok(0));
    assert_eq!(redis.one(("g", HOUR, 24), 23, START), Ok(0));
    assert_eq!(redis.one(("g", HOUR, 24), 1, START), Err(HOUR));
}

#[tokio::test]
async fn replicas_with_different_quotas_of_one_name_carry_over_what_was_spent() {
    let server = Server::start();
    let with = async |quota: Quota| {
        let limit = builder(&server).quota(quota.named("q")).connect();
        let limit = limit.expect("valid");
        limit.handle().wait_connected().await;
        limit
    };
    assert!(ask(&with(Quota::per_day(1)).await, &mut ()).await.is_ok());
    let raised = with(Quota::per_day(24)).await;
    for n in 0..23 {
        assert!(ask(&raised, &mut ()).await.is_ok(), "request {n}");
    }
    assert!(ask(&raised, &mut ()).await.is_err());
}

#[test]
fn a_burst_that_is_lowered_and_raised_again_frees_nothing() {
    let mut redis = Redis::start();
    for lowered in [("g", SECOND, 50), ("g", 2 * SECOND, 50)] {
        redis.flush();
        assert_eq!(redis.one(("g", SECOND, 100), 100, START), Ok(0));
        let debt = 51 * lowered.1;
        assert_eq!(
            redis.one(lowered, 1, START),
            Err(debt),
            "a debt of 50, and 1"
        );
        assert_eq!(redis.one(("g", SECOND, 100), 1, START), Err(SECOND));
    }
}

#[test]
fn a_debt_is_refilled_at_the_new_rate_although_requests_are_only_rejected() {
    let mut redis = Redis::start();
    assert_eq!(redis.one(("g", SECOND, 1000), 1000, START), Ok(0));
    // A hundred times as fast. 1,000 tokens are owed, and a bucket of one may lack one.
    let faster = ("g", SECOND / 100, 1);
    let wait = redis.one(faster, 1, START).expect_err("a debt");
    assert_eq!(wait, 1000 * SECOND / 100);
    assert_eq!(redis.one(faster, 1, START + wait - 1), Err(1));
    assert_eq!(redis.one(faster, 1, START + wait), Ok(0));
}

#[test]
fn tokens_admitted_under_another_unit_are_refunded_in_the_current_one() {
    let mut redis = Redis::start();
    assert_eq!(redis.one(("g", SECOND, 10), 8, START), Ok(2));
    assert_eq!(redis.one(("g", HOUR, 10), 1, START), Ok(1));
    redis.refund(("g", HOUR, 10), 8, START, START);
    assert_eq!(redis.one(("g", HOUR, 10), 9, START), Ok(0));
}

#[test]
fn windows_of_another_length_count_what_was_spent_in_earlier_ones() {
    let mut redis = Redis::start();
    let midnight = START / DAY * DAY;
    for kind in ["f", "s"] {
        for (before, after) in [(HOUR, DAY), (DAY, HOUR)] {
            redis.flush();
            assert_eq!(redis.one((kind, before, 10), 6, midnight), Ok(4));
            let now = midnight + 1;
            assert!(redis.one((kind, after, 10), 5, now).is_err(), "{kind}");
            assert_eq!(redis.one((kind, after, 10), 4, now), Ok(0), "{kind}");
        }
    }
    // A window that has ended counts nowhere, and a sliding one counts in part.
    redis.flush();
    assert_eq!(redis.one(("f", HOUR, 10), 6, midnight), Ok(4));
    assert_eq!(redis.one(("f", DAY, 10), 10, midnight + HOUR), Ok(0));
    redis.flush();
    assert_eq!(redis.one(("s", HOUR, 10), 8, midnight), Ok(2));
    let now = midnight + HOUR + HOUR / 4;
    assert_eq!(redis.one(("s", DAY, 10), 4, now), Ok(0));
}

#[test]
fn another_algorithm_counts_what_was_spent_under_the_old_one() {
    let mut redis = Redis::start();
    let midnight = START / DAY * DAY;
    let kinds = [("g", SECOND, 10), ("f", HOUR, 10), ("s", HOUR, 10)];
    for before in kinds {
        for after in kinds {
            redis.flush();
            assert_eq!(redis.one(before, 6, midnight), Ok(4));
            let decided = redis.one(after, 4, midnight);
            assert_eq!(decided, Ok(0), "{before:?} then {after:?}");
        }
    }
}

#[test]
fn a_window_whose_phase_changes_keeps_its_count_until_the_new_one_ends() {
    let mut redis = Redis::start();
    let day = ("f", DAY, 10);
    let midnight = START / DAY * DAY;
    assert_eq!(redis.one(day, 6, midnight + 23 * HOUR), Ok(4));
    // An hour east of UTC, the next day has begun.
    redis.phase = HOUR;
    let now = midnight + 23 * HOUR + 1;
    assert!(redis.one(day, 5, now).is_err());
    assert_eq!(redis.one(day, 4, now), Ok(0));
    assert_eq!(redis.one(day, 1, midnight + 47 * HOUR - 1), Err(1));
    assert_eq!(redis.one(day, 10, midnight + 47 * HOUR), Ok(0));
}

/// The first layout, without kind and unit.
#[test]
fn the_first_layout_is_read_under_the_current_quota() {
    let mut redis = Redis::start();
    let hour = START / HOUR * HOUR;
    for (value, quota) in [
        ((hour + 6 * SECOND).to_string(), ("g", SECOND, 10)),
        (format!("{} 6", hour / HOUR), ("f", HOUR, 10)),
        (format!("{} 6 0", hour / HOUR), ("s", HOUR, 10)),
    ] {
        redis.set(&value);
        assert!(redis.one(quota, 5, hour).is_err(), "{value:?}");
        assert_eq!(redis.one(quota, 4, hour), Ok(0), "{value:?}");
    }
    // A value of another algorithm is ignored.
    redis.set(&format!("{} 6", hour / HOUR));
    assert_eq!(redis.one(("g", SECOND, 10), 10, hour), Ok(0));
}
