//! States that a handle sets, and keys.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Shared;
use crate::{State, Transition, TransitionReason, nanos::nanos};

impl Shared {
    /// Sets a state, in a new generation.
    pub(crate) fn force(&self, state: State, now: Instant) {
        self.change(now, |machine, _| machine.force(state));
    }

    /// Ends a state that was set by hand.
    pub(crate) fn automatic(&self, now: Instant) {
        self.change(now, |machine, _| {
            if machine.stamp().state().is_by_hand() {
                machine.force(State::Closed);
            }
        });
    }

    /// Opens for at least `length`, or extends the opening. Returns `false` in a state that was set
    /// by hand.
    pub(crate) fn trip(&self, length: Duration, now: Instant) -> bool {
        let at = self.epoch.nanos(now);
        let before = self.stamp().state();
        let tripped = self.change(now, |machine, rules| {
            machine.trip_by_hand(at, nanos(length), rules)
        });
        if tripped && before != State::Open {
            self.common.opened.add();
        }
        tripped
    }

    /// Sets the label of the key.
    pub(crate) fn set_key(&self, label: Option<Box<str>>) {
        self.lock().key = label.map(Arc::from);
    }

    /// Resets the breaker for another key. The caller may hold a lock: the transition is reported by
    /// [`report_eviction`](Self::report_eviction).
    pub(crate) fn evict(&self) {
        let rules = self.common.settings();
        let mut guarded = self.lock();
        let (from, key) = (guarded.machine.stamp().state(), guarded.key.take());
        guarded.evicted = (from != State::Closed).then_some((from, key));
        guarded.latest = None;
        guarded.machine.force(State::Closed);
        self.publish(&guarded.machine, &rules);
    }

    /// Reports the eviction of the key that had this breaker before, if it was not closed.
    pub(crate) fn report_eviction(&self, now: Instant) {
        let mut guarded = self.lock();
        let Some((from, key)) = guarded.evicted.take() else {
            return;
        };
        self.common.queue(Transition {
            from,
            to: State::Closed,
            reason: TransitionReason::Evicted,
            at: now,
            generation: guarded.machine.stamp().generation(),
            key,
        });
        drop(guarded);
        self.common.report();
    }
}
