//! Decisions without the lock, and wake-ups.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::Wake,
    time::Duration,
};

use super::*;

const ROOM: Bounds = Bounds {
    max_waiting: 8,
    max_wait: 1000,
    deadline: None,
};

/// One departure every ten nanoseconds.
fn ten() -> State {
    let settings = Settings::new(100, Duration::from_nanos(1000)).expect("valid");
    State::new(Arc::new(settings))
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Joins and is asked once, so that its waker is stored.
fn queued(state: &State, now: u64) -> (Ticket, Arc<Woken>) {
    let Joined::Waiting { ticket, .. } = state.join(1, ROOM, now) else {
        panic!("a departure is not due");
    };
    let woken = Arc::new(Woken::default());
    state.ask(ticket, &Waker::from(Arc::clone(&woken)));
    (ticket, woken)
}

#[test]
fn a_request_departs_without_the_lock_from_its_time_on() {
    let state = ten();
    let held = state.lock();
    assert!(state.enter(1, 0).is_some());
    assert!(state.enter(1, 9).is_none() && state.enter(1, 10).is_some());
    assert!(state.enter(101, 20).is_none(), "more than the count");
    assert!(state.enter(100, 20).is_some());
    drop(held);
}

#[test]
fn a_full_queue_rejects_without_the_lock() {
    let state = ten();
    let bounds = Bounds {
        max_wait: 15,
        ..ROOM
    };
    assert!(state.enter(3, 0).is_some());
    let held = state.lock();
    assert_eq!(state.wait_for_room(bounds, 0), Some(15));
    assert_eq!(state.wait_for_room(bounds, 15), None);
    drop(held);
}

#[test]
fn a_request_that_is_due_is_not_queued() {
    let state = ten();
    for now in [0, 10] {
        let joined = state.join(1, ROOM, now);
        assert!(matches!(joined, Joined::Departed(_)), "{joined:?}");
    }
    assert_eq!(state.waiting(), 0);
}

#[test]
fn after_a_change_of_the_rate_each_waiter_is_woken_when_it_becomes_the_first() {
    for changed in [false, true] {
        let state = ten();
        assert!(state.enter(1, 0).is_some());
        let (first, first_woken) = queued(&state, 0);
        let (_, second_woken) = queued(&state, 0);
        if changed {
            // Twice as fast: the departures at 10 and 20 are at 5 and 10 now.
            let rate = state.settings.set_rate(200, Duration::from_nanos(1000));
            rate.expect("valid");
            state.advance(0);
            assert_eq!(first_woken.0.load(SeqCst), 1, "its timer is too late");
            state.ask(first, Waker::noop());
        }
        state.advance(if changed { 5 } else { 10 });
        assert!(matches!(state.ask(first, Waker::noop()), Turn::Now(_)));
        assert_eq!(second_woken.0.load(SeqCst), usize::from(changed));
    }
}
