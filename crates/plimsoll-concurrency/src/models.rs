//! Every interleaving of a few requests, under loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p plimsoll-concurrency --lib --release`.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::{Wake, Waker},
    time::Duration,
};

use loom::{sync::Arc, thread};
use plimsoll_core::Ticket;

use tokio::time::Instant;

use crate::{
    Because, Change,
    queue::{Answer, Waiter},
    sampler::Closed,
    settings::Settings,
    state::{Queued, State},
};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn limit(limit: usize) -> Arc<State> {
    Arc::new(State::new(std::sync::Arc::new(
        Settings::new(limit).unwrap(),
    )))
}

/// Time plays no part in these models: no wait ends by it.
fn leave(state: &State) {
    state.leave(Instant::now());
}

/// Gets in as the policy does: at once, or into the queue.
fn arrive(state: &State) -> Option<Ticket> {
    if state.enter() {
        return None;
    }
    match state.enqueue(8, 0, Waiter::new(Instant::now(), None)) {
        Queued::Entered => None,
        Queued::Waiting(ticket) => Some(ticket),
        Queued::Full => panic!("there is room for eight"),
    }
}

/// Everybody has acted: whoever still waits must have been granted a slot when one is free.
fn settle(state: &State, ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        assert!(
            state.ask(ticket, Waker::noop()),
            "a slot is free and the first in the queue waits"
        );
        assert_eq!(state.withdraw(ticket), Some(Answer::Granted));
    }
    leave(state);
}

fn nothing_is_left(state: &State) {
    assert!(state.is_idle(), "nobody is in flight and the mark is gone");
    assert_eq!(state.queued(), 0);
}

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

#[test]
fn a_higher_limit_and_a_new_waiter_do_not_miss_each_other() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let raising = Arc::clone(&state);
        let raiser = thread::spawn(move || {
            raising.settings.set_limit(2).unwrap();
            raising.hand_out(None);
        });
        let ticket = arrive(&state);
        raiser.join().unwrap();
        settle(&state, ticket);
        leave(&state);
        nothing_is_left(&state);
    });
}

#[test]
fn a_lower_limit_and_a_release_leave_the_waiter_to_the_next_release() {
    loom::model(|| {
        let state = limit(2);
        assert!(state.enter() && state.enter());
        let ticket = arrive(&state);
        let (lowering, leaving) = (Arc::clone(&state), Arc::clone(&state));
        let lowerer = thread::spawn(move || {
            lowering.settings.set_limit(1).unwrap();
            lowering.hand_out(None);
        });
        let leaver = thread::spawn(move || leave(&leaving));
        lowerer.join().unwrap();
        leaver.join().unwrap();
        leave(&state);
        settle(&state, ticket);
        // The waiter may have been let in under the old limit: then it left before the one still running.
        nothing_is_left(&state);
    });
}

/// An algorithm's answer, to a window that a call has just closed.
fn moved(state: &State, limit: u32) {
    let change = Change {
        limit,
        because: Because::Growth,
        queue: None,
    };
    let closed = Closed {
        change,
        p90: Duration::ZERO,
        p99: Duration::ZERO,
    };
    state.moved(&closed, Instant::now());
}

#[test]
fn a_call_that_ends_and_raises_the_limit_lets_in_all_who_fit_and_no_more() {
    three_at_once(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state);
        let (ending, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let ender = thread::spawn(move || {
            leave(&ending);
            moved(&ending, 2);
        });
        let second = thread::spawn(move || arrive(&arriving));
        ender.join().unwrap();
        let second = second.join().unwrap();
        assert_eq!((state.in_flight(), state.queued()), (2, 0));
        settle(&state, first);
        settle(&state, second);
        nothing_is_left(&state);
    });
}

#[test]
fn a_call_that_ends_and_lowers_the_limit_leaves_nobody_behind() {
    three_at_once(|| {
        let state = limit(2);
        assert!(state.enter() && state.enter());
        let waiting = arrive(&state);
        let (ending, leaving) = (Arc::clone(&state), Arc::clone(&state));
        let ender = thread::spawn(move || {
            leave(&ending);
            moved(&ending, 1);
        });
        let leaver = thread::spawn(move || leave(&leaving));
        ender.join().unwrap();
        leaver.join().unwrap();
        settle(&state, waiting);
        assert!(state.enter() && !state.enter());
        leave(&state);
        nothing_is_left(&state);
    });
}

#[test]
fn the_limit_holds_when_three_arrive_and_leave() {
    loom::model(|| {
        let state = limit(1);
        let inside = std::sync::Arc::new(AtomicUsize::new(0));
        let visit = |state: Arc<State>, inside: std::sync::Arc<AtomicUsize>| {
            move || {
                if !state.enter() {
                    return;
                }
                assert_eq!(inside.fetch_add(1, SeqCst), 0, "one at a time");
                thread::yield_now();
                inside.fetch_sub(1, SeqCst);
                leave(&state);
            }
        };
        let others: Vec<_> = (0..2)
            .map(|_| thread::spawn(visit(Arc::clone(&state), std::sync::Arc::clone(&inside))))
            .collect();
        visit(Arc::clone(&state), inside)();
        for other in others {
            other.join().unwrap();
        }
        nothing_is_left(&state);
    });
}

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

/// Three at once are too many for every interleaving: those with up to three pre-emptions.
fn three_at_once(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
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
        state.settings.set_limit(2).unwrap();
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
        state.settings.set_limit(1).unwrap();
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
