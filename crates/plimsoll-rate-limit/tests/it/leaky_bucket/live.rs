//! Settings: bounds, and changes while requests are queued.

use std::time::Duration;

use plimsoll_core::{
    Deadline, Kind, Missing, Policy,
    policy::{Evictable as _, Verdict},
};
use plimsoll_rate_limit::LeakyBucket;
use tokio::time::{Instant, advance};

use super::{DAY, bucket, call, call_with, counting_waker};
use crate::ms;

#[test]
fn invalid_settings_are_rejected_by_field_and_bound() {
    let new = |count, period| {
        LeakyBucket::new(count, period)
            .expect_err("invalid")
            .to_string()
    };
    assert_eq!(new(0, ms(1)), "count must be at least 1 request, got 0");
    assert_eq!(
        new(1, Duration::ZERO),
        "period must be 1 ns to 365 days, got 0ns"
    );
    assert!(new(1, DAY * 366).starts_with("period must be 1 ns to 365 days"));
    assert_eq!(
        new(1001, Duration::from_micros(1)),
        "count must be at most 1 request per nanosecond, got 1001 per 1µs"
    );
    let valid = || LeakyBucket::new(1, DAY * 365).expect("valid");
    for requests in [0, (1 << 20) + 1] {
        let error = valid().max_waiting(requests).expect_err("invalid");
        assert_eq!(
            error.to_string(),
            format!("max_waiting must be 1 to 2^20 requests, got {requests}")
        );
    }
    for wait in [Duration::ZERO, Duration::from_secs(3601)] {
        let error = valid().max_wait(wait).expect_err("invalid");
        assert_eq!(
            error.to_string(),
            format!("max_wait must be 1 ns to 1 hour, got {wait:?}")
        );
    }
    let handle = valid().handle();
    assert!(handle.set_rate(0, ms(1)).is_err() && handle.set_max_waiting(0).is_err());
    assert!(handle.set_max_wait(Duration::ZERO).is_err());
    assert_eq!(
        (handle.rate(), handle.max_waiting(), handle.max_wait()),
        ((1, DAY * 365), 1024, Duration::from_secs(3600))
    );
}

#[tokio::test(start_paused = true)]
async fn a_higher_rate_applies_to_queued_requests() {
    let bucket = bucket(8);
    let handle = bucket.handle();
    let start = Instant::now();
    call(&bucket).go();
    let (wakes, waker) = counting_waker();
    let (mut first, mut second) = (call(&bucket), call(&bucket));
    first.poll_with(&waker);
    assert!(second.is_waiting());
    advance(ms(4)).await;
    handle.set_rate(500, ms(1000)).expect("valid");
    assert_eq!(wakes.count(), 1, "to reset its timer");
    // A fifth of the remaining 6 ms is left, and the next interval is a new one. The timer fires on
    // the millisecond.
    let (one, two) = tokio::join!(&mut first, &mut second);
    assert_eq!(one, Ok(start + ms(6)));
    assert_eq!(two, Ok(start + ms(8)));
}

#[tokio::test(start_paused = true)]
async fn a_lower_rate_delays_queued_requests_until_their_deadline() {
    let bucket = bucket(8);
    let handle = bucket.handle();
    let start = Instant::now();
    call(&bucket).go();
    let (mut first, mut second) = (call(&bucket), call(&bucket));
    let mut hurried = call_with(&bucket, (1, Some(Deadline(start + ms(50)))));
    assert!(first.is_waiting() && second.is_waiting() && hurried.is_waiting());
    handle.set_rate(10, ms(1000)).expect("valid");
    let (one, two, three) = tokio::join!(&mut first, &mut second, &mut hurried);
    assert_eq!((one, two), (Ok(start + ms(100)), Ok(start + ms(200))));
    assert_eq!(three.expect_err("late").kind(), Kind::Deadline);
    assert_eq!((handle.past_deadline(), handle.waiting()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_bucket_applies_many_changes_of_its_rate() {
    let bucket = bucket(8);
    let handle = bucket.handle();
    for change in 1..100 {
        handle.set_rate(1, ms(change)).expect("valid");
        call(&bucket).go();
        assert_eq!(bucket.turn_in(Instant::now()), ms(change));
        handle.set_rate(1, ms(2 * change)).expect("valid");
        assert_eq!(bucket.turn_in(Instant::now()), ms(2 * change));
        advance(ms(2 * change)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_changed_and_changed_back_frees_nothing() {
    let bucket = bucket(8);
    let handle = bucket.handle();
    // Fifty intervals of 10 ms.
    call_with(&bucket, (50, None)).go();
    handle.set_rate(10, ms(1000)).expect("valid");
    // Fifty of 100 ms: more than a period.
    assert_eq!(bucket.turn_in(Instant::now()), ms(5000));
    let mut late = call(&bucket);
    assert!(late.rejection().is_some(), "too long a wait");
    handle.set_rate(100, ms(1000)).expect("valid");
    assert_eq!(bucket.turn_in(Instant::now()), ms(500));
}

#[tokio::test(start_paused = true)]
async fn changed_bounds_apply_to_new_requests() {
    let bucket = bucket(8);
    let handle = bucket.handle();
    call(&bucket).go();
    let mut waiting = [call(&bucket), call(&bucket)];
    handle.set_max_waiting(1).expect("valid");
    assert!(call(&bucket).rejection().is_some());
    handle.set_max_waiting(8).expect("valid");
    handle.set_max_wait(ms(29)).expect("valid");
    assert_eq!(
        call(&bucket).rejection().and_then(|no| no.retry_after()),
        Some(ms(1))
    );
    assert!(waiting.iter_mut().all(super::Call::is_waiting));
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_schedule_and_queue() {
    let each = LeakyBucket::new(100, ms(1000)).and_then(|bucket| bucket.max_waiting(1));
    let each = each.expect("valid");
    let keyed = each
        .per_key(|key: &u32| Some(*key), Missing::Share, 512)
        .expect("a capacity");
    let mut held = Vec::new();
    for key in 0..20 {
        let now = Instant::now();
        let Verdict::Admit(permit) = keyed.admit(&mut { key }, now) else {
            panic!("the first of its key");
        };
        let Verdict::Wait(wait) = keyed.admit(&mut { key }, now) else {
            panic!("the second is queued");
        };
        assert!(matches!(keyed.admit(&mut { key }, now), Verdict::Reject(_)));
        held.push((permit, Box::pin(wait)));
    }
    let waiting = |key: u32| {
        keyed
            .handle()
            .with_cell(key, |cell| cell.handle().waiting())
    };
    assert_eq!((waiting(3), waiting(19)), (Some(1), Some(1)));
    assert_eq!(keyed.handle().unused_cell().handle().rejected(), 20);
    let now = Instant::now();
    for (permit, mut wait) in held {
        Policy::<u32>::abandon(&keyed, wait.as_mut(), now);
        Policy::<u32>::revoke(&keyed, permit, now, now);
    }
    assert_eq!(waiting(3), Some(0));
    let settled = keyed.handle().with_cell(3_u32, |cell| cell.settles_in(now));
    assert_eq!(settled, Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_cell_is_unused_when_its_queue_is_empty_and_the_interval_is_over() {
    let bucket = bucket(8);
    assert!(bucket.settles_in(Instant::now()).is_zero());
    call(&bucket).go();
    let waiting = call(&bucket);
    assert_eq!(bucket.settles_in(Instant::now()), ms(20));
    advance(ms(10)).await;
    waiting.go();
    assert_eq!(bucket.settles_in(Instant::now()), ms(10));
    bucket.reset();
    assert!(bucket.settles_in(Instant::now()).is_zero());
    call(&bucket).go();
}

#[test]
fn the_largest_settings_are_valid_and_larger_ones_are_not() {
    const MAX_WAITING: usize = 1 << 20;
    const HOUR: Duration = Duration::from_secs(60 * 60);
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    const NANO: Duration = Duration::from_nanos(1);
    let handle = bucket(1).handle();
    assert!(handle.set_max_waiting(MAX_WAITING).is_ok());
    assert!(handle.set_max_waiting(MAX_WAITING + 1).is_err());
    assert!(handle.set_max_wait(HOUR).is_ok());
    assert!(handle.set_max_wait(HOUR + NANO).is_err());
    assert!(handle.set_rate(1, YEAR).is_ok());
    assert!(handle.set_rate(1, YEAR + NANO).is_err());
    assert!(handle.set_rate(1_000, 1_000 * NANO).is_ok());
    assert!(handle.set_rate(1_001, 1_000 * NANO).is_err());
}

#[test]
fn a_new_bucket_has_counted_nothing() {
    let handle = bucket(1).handle();
    assert_eq!((handle.waiting(), handle.rejected()), (0, 0));
    assert_eq!((handle.past_deadline(), handle.abandoned()), (0, 0));
}
