//! Slots that are reclaimed from callers that stopped reading, while others come and go.

use std::time::Duration;

use loom::{sync::Arc, thread};
use plimsoll_core::WaitsOn;
use tokio::time::Instant;

use super::{arrive, leave, limit, nothing_is_left, settle, three_at_once};
use crate::{limit::stalls::Stamp, limit::state::State};

const LONGEST: Duration = Duration::from_secs(1);

/// A limit of 1 whose slot a caller holds that stopped reading, in a generation that expires at the
/// moment that is returned.
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
        assert!(!state.holds_slot(stamp), "others have it");
        settle(&state, ticket);
        nothing_is_left(&state);
    });
}

#[test]
fn a_call_that_ends_as_its_slot_is_reclaimed_gives_it_to_one_other() {
    three_at_once(|| {
        let (state, stamp, expiry) = stalled();
        let (taking, ending) = (Arc::clone(&state), Arc::clone(&state));
        let taker = thread::spawn(move || taking.reclaim(expiry));
        let ender = thread::spawn(move || {
            if ending.holds_slot(stamp) {
                leave(&ending);
            }
        });
        taker.join().unwrap();
        ender.join().unwrap();
        assert!(state.enter() && !state.enter());
        leave(&state);
        nothing_is_left(&state);
    });
}
