//! Slots are reclaimed from unread responses while other requests arrive and end.

use std::time::Duration;

use loom::{sync::Arc, thread};
use plimsoll_core::policy::WaitsOn;
use tokio::time::Instant;

use super::{arrive, assert_idle, limit, release, settle, three_at_once};
use crate::{limit::stalls::Stamp, limit::state::State};

const LONGEST: Duration = Duration::from_secs(1);

/// A limit of 1 whose slot is held by an unread response, in a generation that expires at the
/// returned time.
fn stalled() -> (Arc<State>, Stamp, Instant) {
    let state = limit(1);
    state.settings.set_max_stall(Some(LONGEST)).unwrap();
    assert!(state.enter());
    let stamp = state.body_waits(Stamp::NONE, WaitsOn::Caller);
    let now = Instant::now();
    assert!(!state.reclaim(now));
    (state, stamp, now + LONGEST)
}

#[test]
fn a_slot_that_is_reclaimed_and_the_first_waiter_do_not_miss_each_other() {
    three_at_once(|| {
        let (state, stamp, expiry) = stalled();
        let taking = Arc::clone(&state);
        let taker = thread::spawn(move || taking.reclaim(expiry));
        let ticket = arrive(&state);
        assert!(taker.join().unwrap());
        assert!(!state.holds_slot(stamp), "its slot was reclaimed");
        settle(&state, ticket);
        assert_idle(&state);
    });
}

#[test]
fn a_call_that_ends_as_its_slot_is_reclaimed_releases_it_once() {
    three_at_once(|| {
        let (state, stamp, expiry) = stalled();
        let (taking, ending) = (Arc::clone(&state), Arc::clone(&state));
        let taker = thread::spawn(move || taking.reclaim(expiry));
        let ender = thread::spawn(move || {
            if ending.holds_slot(stamp) {
                release(&ending);
            }
        });
        taker.join().unwrap();
        ender.join().unwrap();
        assert!(state.enter() && !state.enter());
        release(&state);
        assert_idle(&state);
    });
}
