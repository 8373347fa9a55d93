//! Settings: bounds, and changes at run time.

use std::time::Duration;

use plimsoll_concurrency::{ConcurrencyLimit, InvalidConcurrencyLimit};
use tokio::time::advance;

use crate::{call, counting_waker, queued, with_deadlines};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn law_09_bad_settings_fail_at_construction_and_name_field_and_bound() {
    let limit = |limit| ConcurrencyLimit::new(limit).unwrap_err();
    assert_eq!(limit(0).to_string(), "limit must be in 1..=2^30, got 0");
    assert_eq!(
        limit(usize::MAX),
        InvalidConcurrencyLimit::Limit(usize::MAX)
    );
    assert!(ConcurrencyLimit::new(1 << 30).is_ok());
    assert!(ConcurrencyLimit::new((1 << 30) + 1).is_err());

    let queue = |len, wait| ConcurrencyLimit::new(1).unwrap().queue(len, wait).map(drop);
    assert_eq!(
        queue(0, SECOND).unwrap_err().to_string(),
        "queue len must be in 1..=2^20, got 0"
    );
    assert_eq!(
        queue((1 << 20) + 1, SECOND),
        Err(InvalidConcurrencyLimit::QueueLen((1 << 20) + 1))
    );
    assert_eq!(
        queue(1, Duration::ZERO).unwrap_err().to_string(),
        "max_wait must be 1 microsecond to 1 hour, got 0ns"
    );
    assert_eq!(
        queue(1, 3601 * SECOND),
        Err(InvalidConcurrencyLimit::MaxWait(3601 * SECOND))
    );
    assert_eq!(queue(1 << 20, 3600 * SECOND), Ok(()));

    let hint = |hint| {
        ConcurrencyLimit::new(1)
            .unwrap()
            .retry_after(hint)
            .map(drop)
    };
    assert_eq!(
        hint(Duration::ZERO).unwrap_err().to_string(),
        "retry_after must be 1 nanosecond to 1 day, got 0ns"
    );
    assert!(hint(86_401 * SECOND).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_admits_waiters() {
    let limit = queued(1, 8);
    let handle = limit.handle();
    let _running = call(&limit);
    let (wakes, waker) = counting_waker();
    let mut waiting: Vec<_> = (0..4).map(|_| call(&limit)).collect();
    for waiting in &mut waiting {
        waiting.poll_with(&waker);
    }

    handle.set_limit(4).unwrap();
    assert_eq!(
        (
            handle.limit(),
            handle.in_flight(),
            handle.queued(),
            wakes.count()
        ),
        (4, 4, 1, 3)
    );
    assert!(waiting[..3].iter_mut().all(super::Call::is_running));
    assert!(waiting[3].is_waiting());
    handle.set_limit(8).unwrap();
    assert!(waiting[3].is_running());
    assert!(
        call(&limit).is_running(),
        "the queue is empty, so a new request is admitted"
    );
}

#[tokio::test(start_paused = true)]
async fn under_a_lower_limit_running_requests_end_and_none_is_admitted_until_there_is_room() {
    let limit = queued(4, 8);
    let handle = limit.handle();
    let mut running: Vec<_> = (0..4).map(|_| call(&limit)).collect();
    handle.set_limit(2).unwrap();
    let mut waiting = call(&limit);
    for in_flight in [3, 2] {
        drop(running.pop());
        assert!(waiting.is_waiting());
        assert_eq!(handle.in_flight(), in_flight);
    }
    drop(running.pop());
    assert!(waiting.is_running());
    assert_eq!(handle.in_flight(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_setting_at_run_time_changes_nothing() {
    let handle = queued(3, 8).handle();
    assert!(handle.set_limit(0).is_err());
    assert!(handle.set_queue(0, SECOND).is_err());
    assert!(handle.set_queue(5, Duration::ZERO).is_err());
    assert!(handle.set_retry_after(Some(Duration::ZERO)).is_err());
    assert_eq!((handle.limit(), handle.queue()), (3, Some((8, SECOND))));
    assert_eq!(handle.retry_after(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_queue_can_be_added_changed_and_removed() {
    let limit = with_deadlines(ConcurrencyLimit::new(1).unwrap());
    let handle = limit.handle();
    let mut running = call(&limit);
    assert!(call(&limit).rejection().is_some());

    handle.set_queue(1, SECOND).unwrap();
    let mut waiting = call(&limit);
    assert!(waiting.is_waiting() && call(&limit).rejection().is_some());

    handle.set_queue(2, 5 * SECOND).unwrap();
    let mut longer = call(&limit);
    assert!(longer.is_waiting());
    advance(SECOND).await;
    assert!(waiting.rejection().is_some(), "it keeps its longest wait");
    assert!(longer.is_waiting());

    handle.clear_queue();
    assert_eq!(handle.queue(), None);
    assert!(call(&limit).rejection().is_some());
    assert!(longer.is_waiting(), "it keeps its place");
    drop(std::mem::replace(&mut running, longer));
    assert!(running.is_running());
}

#[tokio::test(start_paused = true)]
async fn the_hint_can_be_set_and_estimated_again() {
    let limit = with_deadlines(ConcurrencyLimit::new(1).unwrap());
    let handle = limit.handle();
    let running = call(&limit);
    advance(Duration::from_millis(20)).await;
    running.finish();
    let _running = call(&limit);
    handle.set_retry_after(Some(3 * SECOND)).unwrap();
    assert_eq!(
        call(&limit).rejection().unwrap().retry_after(),
        Some(3 * SECOND)
    );
    handle.set_retry_after(None).unwrap();
    assert_eq!(
        call(&limit).rejection().unwrap().retry_after(),
        Some(Duration::from_millis(20))
    );
}

#[test]
fn the_longest_wait_is_whole_microseconds_rounded_up() {
    let handle = queued(1, 1).handle();
    handle.set_queue(1, Duration::from_nanos(1001)).unwrap();
    assert_eq!(handle.queue(), Some((1, Duration::from_micros(2))));
}
