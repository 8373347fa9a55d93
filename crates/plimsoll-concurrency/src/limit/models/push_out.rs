//! A newcomer of a higher level that takes the place of one who waits.

use std::{sync::atomic::Ordering::SeqCst, task::Waker};

use loom::{sync::Arc, thread};
use plimsoll_core::Ticket;
use tokio::time::Instant;

use super::{Woken, leave, limit, nothing_is_left, settle, three_at_once};
use crate::{
    limit::state::{Queued, State},
    queue::{Answer, Waiter},
};

/// Gets in at this level with a queue of one place: `Err` when it is refused.
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

/// Everybody has acted, and a slot is free for each that was not pushed out. Returns whether it was served.
fn hears(state: &State, ticket: Ticket) -> bool {
    assert!(
        state.ask(ticket, Waker::noop()),
        "there is room for everybody who was not pushed out"
    );
    match state.withdraw(ticket) {
        Some(Answer::Granted) => true,
        Some(Answer::PushedOut) => false,
        other => panic!("{other:?} is no answer here"),
    }
}

#[test]
fn a_slot_goes_either_to_the_one_who_waits_or_to_the_one_who_pushes_it_out() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (leaving, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let leaver = thread::spawn(move || leave(&leaving));
        let newcomer = thread::spawn(move || arrive_at(&arriving, 1));
        leaver.join().unwrap();
        let high = newcomer.join().unwrap().unwrap();
        assert_eq!(state.in_flight(), 1);
        if hears(&state, low) {
            leave(&state);
        }
        settle(&state, high);
        nothing_is_left(&state);
    });
}

#[test]
fn a_push_out_a_grant_and_a_higher_limit_lose_no_slot_and_make_none() {
    three_at_once(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (leaving, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let leaver = thread::spawn(move || leave(&leaving));
        let newcomer = thread::spawn(move || arrive_at(&arriving, 1));
        state.settings.value.set(2).unwrap();
        state.hand_out(None);
        leaver.join().unwrap();
        let high = newcomer.join().unwrap().unwrap();
        let low = hears(&state, low);
        if let Some(high) = high {
            assert!(hears(&state, high), "nobody pushes it out");
        }
        assert_eq!(state.in_flight(), 1 + u32::from(low));
        for _ in 0..1 + u32::from(low) {
            leave(&state);
        }
        nothing_is_left(&state);
    });
}

#[test]
fn a_push_out_a_grant_and_a_lower_limit_leave_the_winner_to_the_next_release() {
    three_at_once(|| {
        let state = limit(2);
        assert!(state.enter() && state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (leaving, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let leaver = thread::spawn(move || leave(&leaving));
        let newcomer = thread::spawn(move || arrive_at(&arriving, 1));
        state.settings.value.set(1).unwrap();
        state.hand_out(None);
        leaver.join().unwrap();
        let high = newcomer.join().unwrap().unwrap().unwrap();
        leave(&state); // of the other that ran
        if hears(&state, low) {
            leave(&state);
        }
        settle(&state, Some(high));
        nothing_is_left(&state);
    });
}

#[test]
fn one_that_leaves_as_it_is_pushed_out_gives_away_its_place_once() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let (abandoning, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let gone = thread::spawn(move || abandoning.withdraw(low));
        let newcomer = thread::spawn(move || arrive_at(&arriving, 1));
        let answer = gone.join().unwrap();
        assert!(matches!(answer, None | Some(Answer::PushedOut)));
        let high = newcomer.join().unwrap().unwrap();
        assert_eq!(state.queued(), 1);
        leave(&state);
        settle(&state, high);
        nothing_is_left(&state);
    });
}

#[test]
fn one_that_is_pushed_out_hears_it_or_is_woken() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let low = arrive_at(&state, 0).unwrap().unwrap();
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let (asking, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let asker = thread::spawn(move || asking.ask(low, &waker));
        let newcomer = thread::spawn(move || arrive_at(&arriving, 1));
        let heard = asker.join().unwrap();
        let high = newcomer.join().unwrap().unwrap();
        assert_eq!(woken.0.load(SeqCst), usize::from(!heard));
        assert!(!hears(&state, low));
        leave(&state);
        settle(&state, high);
        nothing_is_left(&state);
    });
}

#[test]
fn of_two_newcomers_the_higher_has_the_place_whoever_was_first() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let arrivals: Vec<_> = [1, 2]
            .map(|level| {
                let state = Arc::clone(&state);
                thread::spawn(move || arrive_at(&state, level))
            })
            .into_iter()
            .map(|newcomer| newcomer.join().unwrap())
            .collect();
        if let Ok(Some(low)) = arrivals[0] {
            assert!(!hears(&state, low), "it was first, and pushed out");
        }
        leave(&state);
        settle(&state, arrivals[1].unwrap());
        nothing_is_left(&state);
    });
}
