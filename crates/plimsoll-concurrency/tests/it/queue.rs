//! With a queue: which waiter is next, and when a wait ends.

use plimsoll_core::{Deadline, Kind, LoadSignal};
use tokio::time::{Instant, advance, timeout};

use crate::{MS, call, call_with, counting_waker, queued, woken};

#[tokio::test(start_paused = true)]
async fn slots_go_to_waiters_in_order_of_arrival() {
    let limit = queued(1, 8);
    let mut running = call(&limit);
    let mut waiting: Vec<_> = (0..4).map(|_| call(&limit)).collect();
    assert_eq!(limit.handle().load(), 5.0);
    while !waiting.is_empty() {
        assert!(
            waiting.iter_mut().rev().all(crate::Call::is_waiting),
            "polled in reverse order"
        );
        drop(running);
        running = waiting.remove(0);
        assert!(running.is_running());
        assert_eq!(limit.handle().in_flight(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_overtakes_the_queue() {
    let limit = queued(1, 8);
    let running = call(&limit);
    let mut first = call(&limit);
    drop(running);
    // The slot belongs to the first waiter, which has not been polled yet.
    let mut late = call(&limit);
    assert!(late.is_waiting());
    assert!(first.is_running());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_rejects_at_once() {
    let limit = queued(1, 2);
    let handle = limit.handle();
    let running = call(&limit);
    let (mut one, mut two) = (call(&limit), call(&limit));
    assert_eq!(call(&limit).rejection().unwrap().kind(), Kind::Full);
    assert_eq!(
        (handle.queued(), handle.rejected(), handle.timed_out()),
        (2, 1, 0)
    );

    drop(running);
    assert!(one.is_running() && two.is_waiting());
    assert!(call(&limit).is_waiting(), "there is one place again");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_after_its_time_and_leaves_nothing() {
    let limit = queued(1, 2);
    let handle = limit.handle();
    let running = call(&limit);
    let began = Instant::now();
    let rejection = woken(call(&limit)).await.expect("the slot stays taken");
    assert_eq!(rejection.kind(), Kind::Full);
    let waited = began.elapsed();
    assert!(waited >= 1000 * MS && waited <= 1001 * MS, "{waited:?}");
    assert_eq!(
        (handle.queued(), handle.timed_out(), handle.rejected()),
        (0, 1, 0)
    );

    drop(running);
    assert_eq!(
        handle.in_flight(),
        0,
        "the waiter that timed out was not granted the slot"
    );
    assert!(call(&limit).is_running());
}

#[tokio::test(start_paused = true)]
async fn a_granted_waiter_is_woken_once_and_at_once() {
    let limit = queued(1, 2);
    let running = call(&limit);
    let (wakes, waker) = counting_waker();
    let mut waiting = call(&limit);
    for _ in 0..5 {
        waiting.poll_with(&waker);
    }
    assert_eq!(wakes.count(), 0, "polling wakes no task");
    drop(running);
    assert_eq!(wakes.count(), 1);
    assert!(waiting.is_running());
    advance(2000 * MS).await;
    assert_eq!(wakes.count(), 1, "its timer is gone");
}

#[tokio::test(start_paused = true)]
async fn the_waker_of_the_last_poll_is_the_one_that_is_woken() {
    let limit = queued(1, 2);
    let running = call(&limit);
    let ((old_wakes, old), (new_wakes, new)) = (counting_waker(), counting_waker());
    let mut waiting = call(&limit);
    waiting.poll_with(&old);
    waiting.poll_with(&new);
    drop(running);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
    drop((old, new, waiting));
    assert_eq!(
        std::sync::Arc::strong_count(&old_wakes),
        1,
        "no waker is kept"
    );
    assert_eq!(
        std::sync::Arc::strong_count(&new_wakes),
        1,
        "no waker is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_its_turn_ends_the_wait_with_its_own_kind() {
    let limit = queued(1, 2);
    let handle = limit.handle();
    let running = call(&limit);
    let began = Instant::now();
    let call = call_with(&limit, Some(Deadline(began + 30 * MS)));
    let rejection = woken(call).await.expect("the slot stays taken");
    assert_eq!(
        (rejection.kind(), rejection.retry_after()),
        (Kind::Deadline, None)
    );
    assert!(began.elapsed() <= 31 * MS);
    assert_eq!(
        (handle.past_deadline(), handle.timed_out(), handle.queued()),
        (1, 0, 0)
    );

    // A deadline after the longest wait does not end the wait.
    let late = woken(call_with(
        &limit,
        Some(Deadline(Instant::now() + 5000 * MS)),
    ))
    .await;
    assert_eq!(late.expect("the slot stays taken").kind(), Kind::Full);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_request_past_its_deadline_is_not_queued() {
    let limit = queued(1, 2);
    let running = call(&limit);
    let mut late = call_with(&limit, Some(Deadline(Instant::now())));
    assert_eq!(late.rejection().unwrap().kind(), Kind::Deadline);
    assert_eq!(limit.handle().queued(), 0);
    drop(running);
    // With a free slot the deadline is not read.
    assert!(call_with(&limit, Some(Deadline(Instant::now()))).is_running());
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_comes_too_late_for_the_deadline_goes_to_the_next() {
    let limit = queued(1, 2);
    let running = call(&limit);
    let mut late = call_with(&limit, Some(Deadline(Instant::now() + 10 * MS)));
    let mut next = call(&limit);
    assert!(late.is_waiting() && next.is_waiting());
    drop(running); // granted in time, but polled late
    advance(20 * MS).await;
    assert_eq!(late.rejection().unwrap().kind(), Kind::Deadline);
    assert!(next.is_running());
}

#[tokio::test(start_paused = true)]
async fn a_slot_granted_within_the_longest_wait_is_kept_by_a_slow_task() {
    let limit = queued(1, 2);
    let running = call(&limit);
    let mut waiting = call(&limit);
    assert!(waiting.is_waiting());
    drop(running);
    advance(5000 * MS).await;
    assert!(waiting.is_running());
}

#[tokio::test(start_paused = true)]
async fn law_02_a_wait_abandoned_just_after_it_was_granted_hands_the_slot_over() {
    let limit = queued(1, 4);
    let handle = limit.handle();
    let running = call(&limit);
    let gone = call(&limit);
    let (wakes, waker) = counting_waker();
    let mut next = call(&limit);
    next.poll_with(&waker);

    drop(running); // the slot goes to `gone` ...
    assert_eq!((handle.in_flight(), wakes.count()), (1, 0));
    drop(gone); // ... and then to `next`
    assert_eq!(
        (handle.in_flight(), wakes.count(), handle.abandoned()),
        (1, 1, 1)
    );
    assert!(next.is_running());
    drop(next);
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn waiters_may_be_cancelled_anywhere_in_the_queue() {
    for cancelled in 0..4 {
        let limit = queued(1, 4);
        let mut running = call(&limit);
        let mut waiting: Vec<_> = (0..4).map(|_| call(&limit)).collect();
        drop(waiting.remove(cancelled));
        assert_eq!(limit.handle().queued(), 3);
        let mut arrival = call(&limit);
        assert!(arrival.is_waiting(), "there is one place again");
        waiting.push(arrival);
        for mut next in waiting {
            assert!(next.is_waiting());
            drop(std::mem::replace(&mut running, next));
            assert!(running.is_running());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn law_05_a_queued_request_is_not_woken_before_its_time_is_over() {
    let limit = queued(1, 1);
    let _running = call(&limit);
    let (wakes, waker) = counting_waker();
    let mut waiting = call(&limit);
    waiting.poll_with(&waker);
    assert!(
        timeout(500 * MS, std::future::pending::<()>())
            .await
            .is_err()
    );
    assert_eq!(wakes.count(), 0);
    advance(600 * MS).await;
    assert_eq!(wakes.count(), 1, "its time is over");
}
