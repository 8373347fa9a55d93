//! A slot is handed over to a waiter, and a waiter is cancelled.

use std::{sync::atomic::Ordering::SeqCst, task::Waker};

use loom::{sync::Arc, thread};

use super::{Woken, arrive, assert_idle, limit, release, settle};
use crate::queue::Answer;

#[test]
fn a_release_and_the_first_waiter_do_not_miss_each_other() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let releasing = Arc::clone(&state);
        let releaser = thread::spawn(move || release(&releasing));
        let ticket = arrive(&state);
        releaser.join().unwrap();
        settle(&state, ticket);
        assert_idle(&state);
    });
}

#[test]
fn a_polled_waiter_is_granted_or_woken() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let releasing = Arc::clone(&state);
        let releaser = thread::spawn(move || release(&releasing));
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let ticket = arrive(&state);
        let answered = ticket.is_none_or(|ticket| state.ask(ticket, &waker));
        releaser.join().unwrap();
        assert_eq!(
            woken.0.load(SeqCst),
            usize::from(!answered),
            "woken once, and only if it waited"
        );
        settle(&state, ticket);
        assert_idle(&state);
    });
}

#[test]
fn two_waiters_get_the_slot_one_after_the_other() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state).unwrap();
        let (releasing, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let releaser = thread::spawn(move || release(&releasing));
        let late = thread::spawn(move || arrive(&arriving));
        releaser.join().unwrap();
        let second = late.join().unwrap();
        assert!(
            second.is_some_and(|second| !state.ask(second, Waker::noop())),
            "no request overtakes the queue"
        );
        assert_eq!(state.in_flight(), 1);
        settle(&state, Some(first));
        settle(&state, second);
        assert_idle(&state);
    });
}

#[test]
fn a_waiter_cancelled_as_it_is_granted_hands_the_slot_over() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state).unwrap();
        let second = arrive(&state);
        let (releasing, abandoning) = (Arc::clone(&state), Arc::clone(&state));
        let releaser = thread::spawn(move || release(&releasing));
        let gone = thread::spawn(move || {
            if abandoning.withdraw(first) == Some(Answer::Granted) {
                release(&abandoning);
            }
        });
        releaser.join().unwrap();
        gone.join().unwrap();
        settle(&state, second);
        assert_idle(&state);
    });
}

#[test]
fn the_cancelled_last_waiter_does_not_hide_a_new_one() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state).unwrap();
        let (releasing, abandoning) = (Arc::clone(&state), Arc::clone(&state));
        let releaser = thread::spawn(move || release(&releasing));
        let gone = thread::spawn(move || {
            if abandoning.withdraw(first) == Some(Answer::Granted) {
                release(&abandoning);
            }
        });
        let second = arrive(&state);
        releaser.join().unwrap();
        gone.join().unwrap();
        settle(&state, second);
        assert_idle(&state);
    });
}
