//! A request of a higher level evicts a waiter.

use std::{sync::atomic::Ordering::SeqCst, task::Waker};

use loom::{sync::Arc, thread};
use plimsoll_core::policy::Ticket;
use tokio::time::Instant;

use super::{Woken, assert_idle, limit, release, settle, three_at_once};
use crate::{
    limit::state::{Queued, State},
    queue::{Answer, Waiter},
};

/// Takes a slot or a place in a queue of one at this level; `Err` when rejected.
fn arrive_at(state: &State, level: u16) -> Result<Option<Ticket>, ()> {
    if state.enter() {
        return Ok(None);
    }
    match state.enqueue(1, level, Waiter::new(Instant::now(), None)) {
        Queued::Entered => Ok(None),
        Queued::Waiting(ticket) => Ok(Some(ticket)),
        Queued::Full => Err(()),
    }
}

/// All threads are done, and each waiter that was not evicted has a slot. Returns whether this one
/// was served.
fn is_served(state: &State, ticket: Ticket) -> bool {
    assert!(
        state.ask(ticket, Waker::noop()),
        "each waiter that was not evicted is answered"
    );
    match state.withdraw(ticket) {
        Some(Answer::Granted) => true,
        Some(Answer::Evicted) => false,
        other => panic!("{other:?} is not expected here"),
    }
}

#[test]
fn a_slot_goes_to_the_waiter_or_to_the_request_that_evicts_it() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (releasing, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let releaser = thread::spawn(move || release(&releasing));
        let arrival = thread::spawn(move || arrive_at(&arriving, 1));
        releaser.join().unwrap();
        let high = arrival.join().unwrap().unwrap();
        assert_eq!(state.in_flight(), 1);
        if is_served(&state, low) {
            release(&state);
        }
        settle(&state, high);
        assert_idle(&state);
    });
}

#[test]
fn an_eviction_a_grant_and_a_higher_limit_keep_the_number_of_slots() {
    three_at_once(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (releasing, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let releaser = thread::spawn(move || release(&releasing));
        let arrival = thread::spawn(move || arrive_at(&arriving, 1));
        state.settings.value.set(2).unwrap();
        state.admit_waiters(None);
        releaser.join().unwrap();
        let high = arrival.join().unwrap().unwrap();
        let low = is_served(&state, low);
        if let Some(high) = high {
            assert!(is_served(&state, high), "no request evicts it");
        }
        assert_eq!(state.in_flight(), 1 + u32::from(low));
        for _ in 0..1 + u32::from(low) {
            release(&state);
        }
        assert_idle(&state);
    });
}

#[test]
fn an_eviction_a_grant_and_a_lower_limit_leave_the_waiter_to_the_next_release() {
    three_at_once(|| {
        let state = limit(2);
        assert!(state.enter() && state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (releasing, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let releaser = thread::spawn(move || release(&releasing));
        let arrival = thread::spawn(move || arrive_at(&arriving, 1));
        state.settings.value.set(1).unwrap();
        state.admit_waiters(None);
        releaser.join().unwrap();
        let high = arrival.join().unwrap().unwrap().unwrap();
        release(&state); // of the other request that ran
        if is_served(&state, low) {
            release(&state);
        }
        settle(&state, Some(high));
        assert_idle(&state);
    });
}

#[test]
fn a_waiter_cancelled_during_its_eviction_releases_its_place_once() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (abandoning, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let gone = thread::spawn(move || abandoning.withdraw(low));
        let arrival = thread::spawn(move || arrive_at(&arriving, 1));
        let answer = gone.join().unwrap();
        assert!(matches!(answer, None | Some(Answer::Evicted)));
        let high = arrival.join().unwrap().unwrap();
        assert_eq!(state.queued(), 1);
        release(&state);
        settle(&state, high);
        assert_idle(&state);
    });
}

#[test]
fn an_evicted_waiter_sees_the_answer_or_is_woken() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let (asking, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let asker = thread::spawn(move || asking.ask(low, &waker));
        let arrival = thread::spawn(move || arrive_at(&arriving, 1));
        let answered = asker.join().unwrap();
        let high = arrival.join().unwrap().unwrap();
        assert_eq!(woken.0.load(SeqCst), usize::from(!answered));
        assert!(!is_served(&state, low));
        release(&state);
        settle(&state, high);
        assert_idle(&state);
    });
}

#[test]
fn the_higher_of_two_new_requests_gets_the_place_in_any_order() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let arrivals: Vec<_> = [1, 2]
            .map(|level| {
                let state = Arc::clone(&state);
                thread::spawn(move || arrive_at(&state, level))
            })
            .into_iter()
            .map(|arrival| arrival.join().unwrap())
            .collect();
        if let Ok(Some(low)) = arrivals[0] {
            assert!(!is_served(&state, low), "it was first, and was evicted");
        }
        release(&state);
        settle(&state, arrivals[1].unwrap());
        assert_idle(&state);
    });
}
