//! A limit that moves meanwhile: set through a handle, or moved by a call that closes a window.

use std::time::Duration;

use loom::{sync::Arc, thread};
use tokio::time::Instant;

use super::{arrive, assert_idle, limit, release, settle, three_at_once};
use crate::{Change, LimitReason, control::sampler::Closed, limit::state::State};

#[test]
fn a_higher_limit_and_a_new_waiter_do_not_miss_each_other() {
    loom::model(|| {
        let state = limit(1);
        assert!(state.enter());
        let raising = Arc::clone(&state);
        let raiser = thread::spawn(move || {
            raising.settings.value.set(2).unwrap();
            raising.admit_waiters(None);
        });
        let ticket = arrive(&state);
        raiser.join().unwrap();
        settle(&state, ticket);
        release(&state);
        assert_idle(&state);
    });
}

#[test]
fn a_lower_limit_and_a_release_leave_the_waiter_to_the_next_release() {
    loom::model(|| {
        let state = limit(2);
        assert!(state.enter() && state.enter());
        let ticket = arrive(&state);
        let (lowering, releasing) = (Arc::clone(&state), Arc::clone(&state));
        let lowerer = thread::spawn(move || {
            lowering.settings.value.set(1).unwrap();
            lowering.admit_waiters(None);
        });
        let releaser = thread::spawn(move || release(&releasing));
        lowerer.join().unwrap();
        releaser.join().unwrap();
        release(&state);
        settle(&state, ticket);
        // The waiter may have been admitted under the old limit: then it left before the one still
        // running.
        assert_idle(&state);
    });
}

/// Applies an algorithm's decision for a window that a call has just closed.
fn moved(state: &State, limit: u32) {
    let change = Change {
        at_no_load: false,
        no_load_latency: None,
        limit,
        reason: LimitReason::Growth,
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
fn a_call_that_ends_and_raises_the_limit_admits_up_to_the_new_limit() {
    three_at_once(|| {
        let state = limit(1);
        assert!(state.enter());
        let first = arrive(&state);
        let (ending, arriving) = (Arc::clone(&state), Arc::clone(&state));
        let ender = thread::spawn(move || {
            release(&ending);
            moved(&ending, 2);
        });
        let second = thread::spawn(move || arrive(&arriving));
        ender.join().unwrap();
        let second = second.join().unwrap();
        assert_eq!((state.in_flight(), state.queued()), (2, 0));
        settle(&state, first);
        settle(&state, second);
        assert_idle(&state);
    });
}

#[test]
fn a_call_that_ends_and_lowers_the_limit_loses_no_waiter() {
    three_at_once(|| {
        let state = limit(2);
        assert!(state.enter() && state.enter());
        let waiting = arrive(&state);
        let (ending, releasing) = (Arc::clone(&state), Arc::clone(&state));
        let ender = thread::spawn(move || {
            release(&ending);
            moved(&ending, 1);
        });
        let releaser = thread::spawn(move || release(&releasing));
        ender.join().unwrap();
        releaser.join().unwrap();
        settle(&state, waiting);
        assert!(state.enter() && !state.enter());
        release(&state);
        assert_idle(&state);
    });
}

#[test]
fn a_limit_that_is_pinned_while_an_algorithm_moves_it_has_the_pinned_value() {
    three_at_once(|| {
        let state = limit(2);
        let (pinning, moving) = (Arc::clone(&state), Arc::clone(&state));
        let pinner = thread::spawn(move || pinning.settings.value.pin(Some(5)).unwrap());
        let mover = thread::spawn(move || moved(&moving, 3));
        pinner.join().unwrap();
        mover.join().unwrap();
        assert_eq!(state.settings.limit(), 5);
        state.settings.value.pin(None).unwrap();
        moved(&state, 3);
        assert_eq!(state.settings.limit(), 3);
    });
}
