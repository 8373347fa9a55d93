//! AIMD against its reference vectors.

use std::time::Duration;

use plimsoll_concurrency::{Aimd, AimdBuilder, Algorithm, LimitReason};

use crate::published::{millis, with_drops};

#[test]
fn a_drop_lowers_the_limit_by_a_tenth() {
    let mut aimd = AimdBuilder::as_published()
        .limits(30, 20..=200)
        .build()
        .unwrap();
    let change = aimd.update(&with_drops(millis(10, 30), 1));
    assert_eq!((change.limit, change.reason), (27, LimitReason::Drops));
}

#[test]
fn the_limit_grows_by_one_after_a_good_window_that_used_half_of_it() {
    let mut aimd = Aimd::as_published();
    assert_eq!(aimd.initial(), 20);
    assert_eq!(aimd.update(&millis(10, 10)).limit, 21);
    assert_eq!(aimd.update(&millis(10, 10)).reason, LimitReason::Idle);
    assert_eq!(aimd.update(&millis(10, 11)).limit, 22);
    let late = aimd.update(&millis(5001, 22));
    assert_eq!((late.limit, late.reason), (20, LimitReason::Latency));
    assert_eq!(
        aimd.update(&millis(5000, 20)).limit,
        21,
        "not above the timeout"
    );
}

#[test]
fn the_published_form_has_the_published_bounds() {
    let mut aimd = Aimd::as_published();
    for _ in 0..300 {
        aimd.update(&millis(10, 200));
    }
    assert_eq!(aimd.update(&millis(10, 200)).limit, 200);
    for _ in 0..300 {
        aimd.update(&with_drops(millis(10, 200), 1));
    }
    assert_eq!(aimd.update(&with_drops(millis(10, 200), 1)).limit, 20);
}

#[test]
fn the_corrected_form_doubles_until_the_first_bad_window_and_then_adds() {
    let mut aimd = Aimd::new();
    for limit in [40, 80, 160, 320] {
        assert_eq!(aimd.update(&millis(10, limit / 2)).limit, limit);
    }
    assert_eq!(aimd.update(&with_drops(millis(10, 320), 50)).limit, 288);
    assert_eq!(aimd.update(&millis(10, 288)).limit, 289);
}

#[test]
fn the_corrected_form_keeps_fractions_so_small_limits_fall_by_a_tenth() {
    let mut aimd = Aimd::builder().limits(2, 1..=9).build().unwrap();
    let overloaded = with_drops(millis(10, 2), 50);
    aimd.update(&overloaded);
    assert!((aimd.estimate() - 1.8).abs() < 1e-9);
    for _ in 0..20 {
        assert_eq!(aimd.update(&overloaded).limit, 1);
    }
    assert_eq!(aimd.update(&millis(10, 1)).limit, 2, "and it recovers");
}

#[test]
fn a_latency_above_the_timeout_is_a_bad_window() {
    let mut aimd = Aimd::builder()
        .timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let change = aimd.update(&millis(51, 20));
    assert_eq!((change.limit, change.reason), (18, LimitReason::Latency));
}
