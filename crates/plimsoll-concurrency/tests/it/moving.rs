//! A limit that moves: pinned, within bounds, and with callbacks.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex},
};

use plimsoll_concurrency::{
    Change, ConcurrencyLimit, InvalidConcurrencyLimit, LimitChange, LimitReason,
};

use crate::{
    sampler::{STEADY, fixed, limit, one},
    with_deadlines,
};

#[tokio::test(start_paused = true)]
async fn a_pinned_limit_stays_and_the_algorithm_sees_no_window_until_it_is_unpinned() {
    let algorithm = fixed(10, |_| Change {
        limit: 12,
        reason: LimitReason::Growth,
        ..STEADY
    });
    let limit = limit(&algorithm);
    let handle = limit.handle();
    one(&limit, 10).await;
    handle.pin(3).unwrap();
    assert_eq!((handle.limit(), handle.pinned()), (3, Some(3)));
    for _ in 0..5 {
        one(&limit, 10).await;
        assert_eq!((handle.limit(), handle.reason()), (3, LimitReason::Pinned));
    }
    assert_eq!(algorithm.told(), 0, "a pinned limit measures nothing");
    assert_eq!(handle.pin(0), Err(InvalidConcurrencyLimit::Limit(0)));
    assert_eq!(handle.pinned(), Some(3), "nothing was changed");

    handle.unpin();
    assert_eq!((handle.limit(), handle.pinned()), (3, None));
    assert_eq!(handle.reason(), LimitReason::Set);
    for _ in 0..2 {
        one(&limit, 10).await;
    }
    assert_eq!(
        algorithm.last().limit,
        3,
        "the window knows the limit in use"
    );
    assert_eq!((handle.limit(), handle.reason()), (12, LimitReason::Growth));
}

#[tokio::test(start_paused = true)]
async fn bounds_hold_at_once_and_for_whatever_an_algorithm_decides() {
    let algorithm = fixed(10, |_| Change {
        limit: 12,
        reason: LimitReason::Growth,
        ..STEADY
    });
    let limit = limit(&algorithm);
    let handle = limit.handle();
    assert_eq!(handle.bounds(), Some(1..=1 << 30));
    handle.set_bounds(1..=7).unwrap();
    assert_eq!(handle.limit(), 7);
    for _ in 0..3 {
        one(&limit, 10).await;
        assert_eq!(handle.limit(), 7);
    }
    assert_eq!(algorithm.last().limit, 7);
    handle.set_bounds(20..=30).unwrap();
    assert_eq!((handle.limit(), handle.bounds()), (20, Some(20..=30)));
    let reversed = RangeInclusive::new(3, 2);
    for bad in [0..=1, reversed, 1..=(1 << 30) + 1] {
        let (min, max) = bad.clone().into_inner();
        let error = InvalidConcurrencyLimit::Bounds { min, max };
        assert_eq!(handle.set_bounds(bad), Err(error));
    }
    let fixed = ConcurrencyLimit::new(5).unwrap().handle();
    assert_eq!(fixed.set_bounds(1..=9), Err(InvalidConcurrencyLimit::Fixed));
    assert_eq!((fixed.bounds(), fixed.limit()), (None, 5));
}

#[tokio::test(start_paused = true)]
async fn the_adaptive_limit_works_within_new_bounds() {
    let limit = with_deadlines(ConcurrencyLimit::adaptive());
    let handle = limit.handle();
    assert_eq!(handle.bounds(), Some(1..=1 << 20));
    handle.set_bounds(40..=50).unwrap();
    assert_eq!(handle.limit(), 40);
    for _ in 0..100 {
        one(&limit, 10).await;
        assert!((40..=50).contains(&handle.limit()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_of_a_limit_calls_all_callbacks_with_its_reason() {
    let algorithm = fixed(10, |number| Change {
        limit: 12 + number as u32 / 2,
        reason: LimitReason::Growth,
        ..STEADY
    });
    let limit = limit(&algorithm);
    let handle = limit.handle();
    let seen = Arc::new(Mutex::new(Vec::new()));
    handle.on_limit_change(|_| panic!("a callback that panics"));
    let sink = Arc::clone(&seen);
    handle.on_limit_change(move |change| {
        let LimitChange {
            from, to, reason, ..
        } = *change;
        sink.lock().unwrap().push((from, to, reason));
    });
    for _ in 0..5 {
        one(&limit, 10).await;
    }
    handle.pin(4).unwrap();
    handle.unpin();
    let all = seen.lock().unwrap().clone();
    assert_eq!(all[0], (10, all[0].1, LimitReason::Growth));
    assert!(
        all.windows(2)
            .all(|two| two[0].1 == two[1].0 && two[1].0 != two[1].1)
    );
    assert_eq!(all.last().unwrap().1, 4);
    assert_eq!(all.last().unwrap().2, LimitReason::Pinned);
}
