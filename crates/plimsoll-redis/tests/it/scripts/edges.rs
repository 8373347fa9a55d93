//! Batches, late questions, clocks that differ, expiry, and values that are not the scripts' own.

use super::{COMMON, MS, Redis, START};

#[test]
fn a_batch_is_what_is_left_but_at_least_the_minimum() {
    let mut redis = Redis::start();
    let quotas = [("g", 1000 * MS, 10), ("f", 3_600_000 * MS, 7)];
    assert_eq!(redis.ask(&quotas, 1, 5, 0, START).granted, 5);
    assert_eq!(
        redis.ask(&quotas, 1, 5, 0, START).granted,
        2,
        "the tighter quota has 2"
    );
    let got = redis.ask(&quotas, 1, 5, 0, START);
    assert_eq!((got.granted, got.tightest), (0, 2));
    assert_eq!(
        redis.ask(&quotas[..1], 4, 9, 0, START).granted,
        0,
        "3 is below the minimum of 4"
    );
    assert_eq!(redis.ask(&quotas[..1], 3, 9, 0, START).granted, 3);
}

#[test]
fn an_expired_question_spends_nothing() {
    let mut redis = Redis::start();
    let quota = [("g", 100 * MS, 4)];
    assert_eq!(redis.ask(&quota, 1, 1, START, START + 1).granted, -1);
    assert_eq!(redis.dump()[0], None);
    assert_eq!(redis.ask(&quota, 1, 1, START, START).granted, 1);
}

#[test]
fn a_clock_that_goes_back_starts_no_second_window() {
    let mut redis = Redis::start();
    let (unit, begin) = (60_000 * MS, START / (60_000 * MS) * 60_000 * MS);
    for kind in ["f", "s"] {
        redis.flush();
        assert_eq!(redis.one((kind, unit, 5), 5, begin), Ok(0));
        assert!(redis.one((kind, unit, 5), 1, begin - 1).is_err(), "{kind}");
    }
    // A bucket is never below empty, also after a write by another clock.
    redis.flush();
    assert_eq!(
        redis.one(("g", 1000 * MS, 5), 5, begin + 500_000 * MS),
        Ok(0)
    );
    assert_eq!(redis.one(("g", 1000 * MS, 5), 1, begin), Err(1000 * MS));
}

#[test]
fn every_key_expires_when_it_no_longer_matters() {
    let mut redis = Redis::with(COMMON);
    for (quota, most) in [
        (("g", 1000 * MS, 5), 3002),
        (("s", 60_000 * MS, 5), 120_002),
        (("f", 60_000 * MS, 5), 60_002),
    ] {
        redis.flush();
        redis.one(quota, 3, START).expect("room");
        let expires = redis.expires_in();
        assert!((1..=most).contains(&expires), "{quota:?}: {expires} ms");
        redis.refund(quota, 1, START, START);
        let expires = redis.expires_in();
        assert!((1..=most).contains(&expires), "{quota:?}: {expires} ms");
    }
}

#[test]
fn an_invalid_value_is_a_full_quota() {
    let mut redis = Redis::start();
    for kind in ["g", "s", "f"] {
        for rubbish in ["rubbish", "", "g 5", "f 1 2 3 4", "x 1 2 3", "1 2 3 4"] {
            redis.set(rubbish);
            let got = redis.one((kind, 1000 * MS, 5), 1, START);
            assert_eq!(got, Ok(4), "{kind}, {rubbish:?}");
        }
    }
}
