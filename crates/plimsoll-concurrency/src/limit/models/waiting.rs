//! A slot handed on to one who waits, and one who stops waiting.

use std::{sync::atomic::Ordering::SeqCst, task::Waker};

use loom::{sync::Arc, thread};

use super::{Woken, arrive, leave, limit, nothing_is_left, settle};
use crate::queue::Answer;

#[test]
fn a_release_and_the_first_waiter_do_not_miss_each_other() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let leaving = Arc::clone(&state);
        let leaver = thread::spawn(move || leave(&leaving));
        let ticket = arrive(&state);
        leaver.join().unwrap();
        settle(&state, ticket);
        nothing_is_left(&state);
    });
}

#[test]
fn a_waiter_that_asked_is_granted_or_woken() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let leaving = Arc::clone(&state);
        let leaver = thread::spawn(move || leave(&leaving));
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let ticket = arrive(&state);
        let heard = ticket.is_none_or(|ticket| state.ask(ticket, &waker));
        leaver.join().unwrap();
        assert_eq!(
            woken.0.load(SeqCst),
            usize::from(!heard),
            "woken once, and only who waited"
        );
        settle(&state, ticket);
        nothing_is_left(&state);
    });
}

#[test]
fn two_waiters_get_the_slot_one_after_the_other() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state).unwrap();
        let (leaving, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let leaver = thread::spawn(move || leave(&leaving));
        let late = thread::spawn(move || arrive(&arriving));
        leaver.join().unwrap();
        let second = late.join().unwrap();
        assert!(
            second.is_some_and(|second| !state.ask(second, Waker::noop())),
            "nobody passes the queue"
        );
        assert_eq!(state.in_flight(), 1);
        settle(&state, Some(first));
        settle(&state, second);
        nothing_is_left(&state);
    });
}

#[test]
fn a_waiter_that_leaves_as_it_is_granted_passes_the_slot_on() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state).unwrap();
        let second = arrive(&state);
        let (leaving, abandoning) = (Arc::clone(&state), Arc::clone(&state));
        let leaver = thread::spawn(move || leave(&leaving));
        let gone = thread::spawn(move || {
            if abandoning.withdraw(first) == Some(Answer::Granted) {
                leave(&abandoning);
            }
        });
        leaver.join().unwrap();
        gone.join().unwrap();
        settle(&state, second);
        nothing_is_left(&state);
    });
}

#[test]
fn the_last_waiter_leaving_does_not_hide_a_new_one() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state).unwrap();
        let (leaving, abandoning) = (Arc::clone(&state), Arc::clone(&state));
        let leaver = thread::spawn(move || leave(&leaving));
        let gone = thread::spawn(move || {
            if abandoning.withdraw(first) == Some(Answer::Granted) {
                leave(&abandoning);
            }
        });
        let second = arrive(&state);
        leaver.join().unwrap();
        gone.join().unwrap();
        settle(&state, second);
        nothing_is_left(&state);
    });
}
