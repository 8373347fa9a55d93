//! The order and times of departures, and cancellation in the queue.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{Deadline, Kind, LoadSignal};
use plimsoll_rate_limit::LeakyBucket;
use tokio::time::{Instant, advance, timeout};

use super::{DAY, bucket, call, call_with, counting_waker, of};
use crate::ms;

#[tokio::test(start_paused = true)]
async fn a_burst_departs_in_order_one_per_interval() {
    let bucket = bucket(8);
    let start = Instant::now();
    let calls: Vec<_> = (0..6).map(|_| call(&bucket)).collect();
    assert_eq!(bucket.turn_in(start), ms(60));
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await, Ok(start + ms(10) * n as u32));
    }
    assert_eq!(bucket.handle().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_time_earns_no_burst() {
    let bucket = bucket(8);
    for pause in [Duration::ZERO, ms(10), DAY, DAY * 365] {
        advance(pause).await;
        call(&bucket).go();
        assert!(call(&bucket).is_waiting(), "after {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_overtakes_the_queue_or_departs_early() {
    let bucket = bucket(8);
    call(&bucket).go();
    let mut first = call(&bucket);
    advance(Duration::from_nanos(9_999_999)).await;
    assert!(first.is_waiting());
    advance(Duration::from_nanos(1)).await;
    // The first waiter is due and has not been polled.
    let mut late = call(&bucket);
    assert!(late.is_waiting() && first.has_departed());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_rejects_with_the_exact_time_of_the_next_place() {
    let bucket = bucket(2);
    let handle = bucket.handle();
    call(&bucket).go();
    let waiting = [call(&bucket), call(&bucket)];
    assert_eq!((handle.waiting(), handle.load()), (2, 1.0));
    advance(ms(3)).await;
    let rejection = call(&bucket).rejection().expect("full");
    assert_eq!(
        (
            rejection.policy(),
            rejection.kind(),
            rejection.retry_after()
        ),
        (LeakyBucket::NAME, Kind::OverQuota, Some(ms(7)))
    );
    assert_eq!(handle.rejected(), 1);
    advance(ms(7)).await;
    assert!(call(&bucket).is_waiting(), "room after the wait");
    drop(waiting);
    assert_eq!((handle.waiting(), handle.load()), (0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_over_the_maximum_is_rejected_with_the_excess() {
    let bucket = LeakyBucket::new(100, ms(1000)).and_then(|bucket| bucket.max_wait(ms(25)));
    let bucket = of(bucket.expect("valid"));
    call(&bucket).go();
    let _waiting = [call(&bucket), call(&bucket)];
    assert_eq!(bucket.handle().load(), 0.8);
    let wait = |call: &mut super::Call<'_>| call.rejection().expect("too long").retry_after();
    assert_eq!(wait(&mut call(&bucket)), Some(ms(5)));
    advance(ms(4)).await;
    assert_eq!(wait(&mut call(&bucket)), Some(ms(1)));
    advance(ms(1)).await;
    assert!(call(&bucket).is_waiting());
}

#[tokio::test(start_paused = true)]
async fn a_cost_delays_the_next_departure_in_proportion() {
    let bucket = bucket(8);
    let start = Instant::now();
    call_with(&bucket, (3, None)).go();
    let (dear, cheap) = (call_with(&bucket, (5, None)), call(&bucket));
    assert_eq!(dear.await, Ok(start + ms(30)));
    assert_eq!(cheap.await, Ok(start + ms(80)));
    let mut free = call_with(&bucket, (0, None));
    assert!(free.has_departed(), "it takes nothing");
    drop(free);
    assert_eq!(bucket.turn_in(Instant::now()), ms(10));
    let rejection = call_with(&bucket, (101, None)).rejection().expect("never");
    assert_eq!(
        (rejection.kind(), rejection.retry_after()),
        (Kind::OverQuota, None)
    );
    assert!(call_with(&bucket, (100, None)).is_waiting());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_the_departure_is_rejected_on_arrival() {
    let bucket = bucket(8);
    let handle = bucket.handle();
    let by = |millis| (1, Some(Deadline(Instant::now() + ms(millis))));
    assert!(call_with(&bucket, by(0)).has_departed(), "it is not queued");
    call(&bucket).go();
    let mut waiting = call(&bucket);
    let rejection = call_with(&bucket, by(20)).rejection().expect("late");
    assert_eq!(
        (rejection.kind(), rejection.retry_after()),
        (Kind::Deadline, None)
    );
    assert_eq!((handle.past_deadline(), handle.rejected()), (1, 0));
    assert!(call_with(&bucket, by(21)).is_waiting());
    assert!(waiting.is_waiting());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_expires_before_the_poll_passes_the_departure_on() {
    let bucket = bucket(8);
    call(&bucket).go();
    let mut late = call_with(&bucket, (1, Some(Deadline(Instant::now() + ms(12)))));
    let mut next = call(&bucket);
    assert!(late.is_waiting() && next.is_waiting());
    advance(ms(13)).await; // granted in time, polled late
    assert_eq!(late.rejection().expect("late").kind(), Kind::Deadline);
    assert!(next.has_departed());
    assert_eq!(bucket.turn_in(Instant::now()), ms(10));
}

#[tokio::test(start_paused = true)]
async fn waiters_behind_a_cancelled_one_move_up() {
    for leaver in 0..4 {
        let bucket = Arc::new(bucket(8));
        let start = Instant::now();
        call(&bucket).go();
        // Each in its own task, which only the bucket and its timer wake.
        let mut tasks: Vec<_> = (0..4)
            .map(|_| {
                let bucket = Arc::clone(&bucket);
                tokio::spawn(async move { call(&bucket).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(bucket.handle().waiting(), 4);
        tasks.remove(leaver).abort();
        for (task, n) in tasks.into_iter().zip(1..) {
            let left = task.await.expect("not aborted");
            assert_eq!(
                left,
                Ok(start + ms(10) * n),
                "waiter {leaver} was cancelled"
            );
        }
        assert_eq!(bucket.handle().abandoned(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn law_02_a_wait_abandoned_just_after_its_grant_passes_the_departure_on() {
    let bucket = bucket(8);
    call(&bucket).go();
    let (gone, mut next, mut last) = (call(&bucket), call(&bucket), call(&bucket));
    assert!(next.is_waiting() && last.is_waiting());
    advance(ms(14)).await;
    assert!(
        next.is_waiting(),
        "this poll grants `gone` its departure, which it has not seen"
    );
    drop(gone);
    assert!(next.has_departed());
    // An interval after that departure, not after the abandoned one.
    assert_eq!(bucket.turn_in(Instant::now()), ms(20));
    next.go();
    advance(ms(9)).await;
    assert!(last.is_waiting());
    advance(ms(1)).await;
    assert!(last.has_departed());
}

#[tokio::test(start_paused = true)]
async fn law_03_a_revoked_departure_leaves_no_trace() {
    let bucket = bucket(8);
    for _ in 0..5 {
        drop(call(&bucket));
        assert_eq!(bucket.turn_in(Instant::now()), Duration::ZERO);
    }
    let first = call(&bucket);
    let (wakes, waker) = counting_waker();
    let mut next = call(&bucket);
    next.poll_with(&waker);
    advance(ms(4)).await;
    drop(first);
    assert_eq!(wakes.count(), 1, "it may depart");
    next.go();
    assert_eq!(bucket.turn_in(Instant::now()), ms(10));
}

#[tokio::test(start_paused = true)]
async fn a_departure_revoked_after_another_one_changes_nothing() {
    let bucket = bucket(8);
    let first = call(&bucket);
    let next = call(&bucket);
    advance(ms(10)).await;
    next.go();
    drop(first);
    assert_eq!(bucket.turn_in(Instant::now()), ms(10));
}

#[tokio::test(start_paused = true)]
async fn rates_above_the_timers_resolution_hold_on_average() {
    // One per 130 µs; tokio's timer fires on the millisecond.
    let bucket = LeakyBucket::new(1, Duration::from_micros(130)).expect("valid");
    let bucket = Arc::new(of(bucket.max_waiting(5000).expect("valid")));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..3000 {
        let bucket = Arc::clone(&bucket);
        tasks.spawn(async move { (n, call(&bucket).await) });
    }
    while let Some(left) = tasks.join_next().await {
        let (n, left) = left.expect("no panic");
        let due = start + Duration::from_micros(130) * n;
        let late = left.expect("room") - due;
        assert!(late <= ms(1), "request {n}: {late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_all_due_waiters_depart() {
    let bucket = bucket(50);
    call(&bucket).go();
    let mut calls: Vec<_> = (0..40).map(|_| call(&bucket)).collect();
    advance(ms(205)).await;
    let left = calls
        .iter_mut()
        .filter_map(|call| call.has_departed().then_some(()));
    assert_eq!(left.count(), 20);
    assert_eq!(bucket.turn_in(Instant::now()), ms(205));
    advance(DAY).await;
    assert!(calls.iter_mut().all(super::Call::has_departed));
    for call in calls {
        call.go();
    }
    call(&bucket).go();
    assert!(call(&bucket).is_waiting());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_polled_delays_no_other() {
    let bucket = bucket(8);
    let start = Instant::now();
    call(&bucket).go();
    let sleeper = call(&bucket);
    assert_eq!(call(&bucket).await, Ok(start + ms(20)));
    sleeper.go();
}

#[tokio::test(start_paused = true)]
async fn law_05_a_waiter_sleeps_until_its_departure() {
    let bucket = bucket(8);
    call(&bucket).go();
    let mut calls: Vec<_> = (0..4).map(|_| (call(&bucket), counting_waker())).collect();
    let sleep = async |time: Duration| {
        assert!(timeout(time, std::future::pending::<()>()).await.is_err());
    };
    for (call, (_, waker)) in &mut calls {
        call.poll_with(waker);
        call.poll_with(waker);
    }
    sleep(ms(9)).await;
    for _ in 0..4 {
        assert!(calls.iter().all(|(_, (wakes, _))| wakes.count() == 0));
        sleep(ms(1)).await;
        let (call, (wakes, _)) = calls.remove(0);
        assert_eq!(wakes.count(), 1, "its own timer only");
        call.go();
        sleep(ms(9)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_waker_of_the_last_poll_is_kept_and_it_is_dropped_at_the_end() {
    let bucket = bucket(8);
    let first = call(&bucket);
    let ((old_wakes, old), (new_wakes, new)) = (counting_waker(), counting_waker());
    let mut waiting = call(&bucket);
    waiting.poll_with(&old);
    waiting.poll_with(&new);
    drop(first);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
    drop((old, new, waiting));
    assert_eq!(Arc::strong_count(&old_wakes), 1);
    assert_eq!(Arc::strong_count(&new_wakes), 1);
}
