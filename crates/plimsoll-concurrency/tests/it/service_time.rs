//! A request that cannot be served before its deadline is neither queued nor run.

use std::time::Duration;

use plimsoll_concurrency::{Adaptive, ConcurrencyLimit, InvalidConcurrencyLimit};
use plimsoll_core::{Deadline, Kind};
use tokio::time::{Instant, advance};

use crate::{Call, Limit, MS, call, call_with, counting_waker, queued, with_deadlines, woken};

fn due_in(limit: &Limit, millis: u32) -> Call<'_> {
    call_with(limit, Some(Deadline(Instant::now() + millis * MS)))
}

#[tokio::test(start_paused = true)]
async fn a_request_with_less_time_left_than_the_service_time_is_rejected_before_it_waits() {
    let limit = queued(1, 2).service_time(20 * MS).unwrap();
    let handle = limit.handle();
    let running = call(&limit);
    let rejection = due_in(&limit, 19).rejection().unwrap();
    assert_eq!(
        (rejection.kind(), rejection.retry_after()),
        (Kind::Deadline, None)
    );
    assert_eq!((handle.past_deadline(), handle.queued()), (1, 0));
    assert!(call(&limit).is_waiting(), "without a deadline it waits");
    assert!(due_in(&limit, 21).is_waiting());
    drop(running);
    assert!(
        due_in(&limit, 19).is_running(),
        "a free slot is taken without a check"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_deadline_can_no_longer_be_met() {
    let limit = queued(1, 2).service_time(20 * MS).unwrap();
    let _running = call(&limit);
    let began = Instant::now();
    let rejection = woken(due_in(&limit, 50))
        .await
        .expect("the slot stays taken");
    assert_eq!(rejection.kind(), Kind::Deadline);
    let waited = began.elapsed();
    assert!(waited >= 30 * MS && waited <= 31 * MS, "{waited:?}");
    assert_eq!(limit.handle().past_deadline(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_too_late_at_its_turn_is_rejected_and_the_slot_goes_to_the_next() {
    let limit = queued(1, 4);
    let handle = limit.handle();
    let running = call(&limit);
    let (wakes, waker) = counting_waker();
    let mut late = due_in(&limit, 50);
    let mut late_too = due_in(&limit, 59);
    let mut next = due_in(&limit, 60);
    for call in [&mut late, &mut late_too, &mut next] {
        call.poll_with(&waker);
    }
    advance(10 * MS).await;
    handle.set_service_time(Some(50 * MS)).unwrap();
    assert_eq!(handle.service_time(), Some(50 * MS));
    running.finish();
    assert_eq!(
        (wakes.count(), handle.in_flight(), handle.queued()),
        (3, 1, 0)
    );
    assert!(
        next.is_running(),
        "at once, and not when the late ones were polled"
    );
    for mut late in [late, late_too] {
        assert_eq!(late.rejection().unwrap().kind(), Kind::Deadline);
    }
    assert_eq!((handle.past_deadline(), handle.in_flight()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn when_all_waiters_are_late_a_new_request_is_admitted() {
    let limit = queued(1, 4);
    let running = call(&limit);
    let mut late = [due_in(&limit, 10), due_in(&limit, 20)];
    advance(30 * MS).await; // their tasks are slow and have not polled their timers
    drop(running);
    assert_eq!(
        (limit.handle().in_flight(), limit.handle().queued()),
        (0, 0)
    );
    assert!(call(&limit).is_running());
    assert!(
        late.iter_mut()
            .all(|late| late.rejection().unwrap().kind() == Kind::Deadline)
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_too_slow_to_start_in_time_hands_its_slot_over() {
    let limit = queued(1, 4).service_time(20 * MS).unwrap();
    let running = call(&limit);
    let mut slow = due_in(&limit, 50);
    let mut next = call(&limit);
    drop(running); // granted in time ...
    advance(40 * MS).await; // ... and polled too late
    assert_eq!(slow.rejection().unwrap().kind(), Kind::Deadline);
    assert!(next.is_running());
}

/// One slot with a measured service time, and a queue.
fn measuring() -> Limit {
    let one = Adaptive::builder().limits(1, 1..=1).build().unwrap();
    let limit = ConcurrencyLimit::with_algorithm(one).unwrap();
    with_deadlines(limit.queue(4, Duration::from_secs(1)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_measured_service_time_uses_the_latency_of_recent_calls() {
    let limit = measuring();
    let running = call(&limit);
    let mut late = due_in(&limit, 79);
    let mut next = due_in(&limit, 80);
    advance(40 * MS).await;
    running.finish();
    assert_eq!(late.rejection().unwrap().kind(), Kind::Deadline);
    assert!(next.is_running());
    assert_eq!(limit.handle().past_deadline(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_does_not_lower_the_service_time() {
    let limit = measuring();
    let mut running = call(&limit);
    for millis in [40, 1, 1, 1] {
        let mut next = call(&limit);
        assert!(next.is_waiting());
        advance(millis * MS).await;
        if millis == 40 {
            running.finish();
        } else {
            running.cancel();
        }
        assert!(next.is_running());
        running = next;
    }
    let mut late = due_in(&limit, 40);
    advance(MS).await;
    running.finish();
    // A short successful call lowers the average, by 1/16 of the difference.
    assert!(late.is_running());
    let mut late_now = due_in(&limit, 37);
    drop(late);
    assert_eq!(late_now.rejection().unwrap().kind(), Kind::Deadline);
}

#[test]
fn a_service_time_can_be_set_changed_and_removed() {
    let limit = || queued(1, 1);
    for bad in [Duration::ZERO, 3_600_001 * MS] {
        let error = limit().service_time(bad).unwrap_err();
        assert_eq!(error, InvalidConcurrencyLimit::ServiceTime(bad));
        assert!(error.to_string().contains("1 nanosecond to 1 hour"));
    }
    let handle = limit().service_time(20 * MS).unwrap().handle();
    assert!(handle.set_service_time(Some(Duration::ZERO)).is_err());
    assert_eq!(handle.service_time(), Some(20 * MS));
    handle.set_service_time(None).unwrap();
    assert_eq!(handle.service_time(), None);
}
