//! Calls that end.

use std::time::Duration;

use plimsoll_core::{Class, Outcome};
use tokio::time::Instant;

use super::{NONE, Shared};
use crate::{
    CircuitBreakerPermit, State,
    in_flight::NOT_COUNTED,
    nanos::nanos,
    state::{Ended, Stamp},
    sync::Ordering::{AcqRel, Relaxed},
};

impl Shared {
    /// Records the end of a call.
    #[inline]
    pub(crate) fn finish(&self, permit: CircuitBreakerPermit, outcome: &Outcome) {
        if outcome.class == Class::Success && permit.word() == self.usual.load(Relaxed) {
            self.window.record_usual();
        } else {
            // Performance: a copy, so that the outcome itself needs no place in memory while the
            // call is usual (`instructions`, `circuit-breaker@accept`).
            self.finish_unusual(permit, &outcome.clone());
        }
    }

    #[inline(never)]
    fn finish_unusual(&self, permit: CircuitBreakerPermit, outcome: &Outcome) {
        let stamp = permit.stamp();
        match stamp.state() {
            State::HalfOpen => return self.probed(permit, outcome),
            _ if !stamp.counts() => return,
            _ => {}
        }
        let is_current = self.stamp() == stamp;
        if is_current {
            self.leave(permit);
        }
        let Some(judged) = self.common.judge(outcome) else {
            return;
        };
        if !is_current {
            return self.common.late.add();
        }
        let now = || self.epoch.nanos(outcome.ended());
        if judged.failed || judged.slow {
            self.last_failure.store(now(), Relaxed);
        }
        self.window.record(judged, now);
        self.learn_usual(stamp);
        // A success may be the call that completes `min_calls`.
        if self.common.may_trip(self.totals()) {
            self.consider(stamp, self.ended(outcome), outcome.ended());
        }
    }

    /// Lets further successes of this stamp end early if they change no decision.
    ///
    /// A failure is recorded before its swap here. If that comes after the swap of another thread,
    /// it removes the stamp; if before, the other thread sees the failure, and removes it itself.
    fn learn_usual(&self, stamp: Stamp) {
        let is_usual =
            || stamp.admits_and_counts() && !self.judges_latency() && self.window.is_usual();
        if !is_usual() {
            self.usual.swap(NONE, AcqRel);
            return;
        }
        self.usual.swap(stamp.0, AcqRel);
        if !is_usual() || self.stamp() != stamp {
            self.usual.swap(NONE, AcqRel);
        }
    }

    /// Opens the breaker if a rate is reached.
    #[inline(never)]
    pub(super) fn consider(&self, stamp: Stamp, ended: Ended, at: Instant) {
        let Some(reason) = self.common.trips(self.totals()) else {
            return;
        };
        if self.change(at, |machine, rules| {
            machine.trip(stamp, ended, reason, rules)
        }) {
            self.common.opened.add();
        }
    }

    fn ended(&self, outcome: &Outcome) -> Ended {
        Ended {
            at: self.epoch.nanos(outcome.ended()),
            took: nanos(outcome.ran()),
        }
    }

    /// Records the end of a probe.
    fn probed(&self, permit: CircuitBreakerPermit, outcome: &Outcome) {
        let failed = self.common.judge_probe(outcome);
        let ended = self.ended(outcome);
        let opened = self.change(outcome.ended(), |machine, rules| {
            let current = machine.stamp() == permit.stamp();
            current.then(|| machine.probed(permit.ticket(), failed, ended, rules))
        });
        match opened {
            Some(true) => self.common.opened.add(),
            None if failed.is_some() => self.common.late.add(),
            _ => {}
        }
    }

    /// Lets the opening that this call causes last until the time that the callee asks for.
    #[cold]
    pub(crate) fn asked_to_wait(&self, permit: CircuitBreakerPermit, wait: Duration, now: Instant) {
        if permit.stamp() == self.stamp() && permit.stamp().state() != State::Disabled {
            let at = self.epoch.nanos(now);
            let mut guarded = self.lock();
            guarded.machine.asked_to_wait(at, nanos(wait));
        }
    }

    /// Records that a watched call has its head. Returns the permit from then on.
    #[inline(never)]
    pub(crate) fn head(&self, permit: CircuitBreakerPermit) -> CircuitBreakerPermit {
        let is_watched = permit.tag() != NOT_COUNTED
            && permit.stamp().counts()
            && permit.stamp() == self.stamp();
        match &self.in_flight {
            // An overdue call stays counted until its outcome takes its place.
            Some(in_flight) if is_watched && in_flight.leave_in_time(permit.tag()) => {
                CircuitBreakerPermit::new(permit.stamp(), NOT_COUNTED)
            }
            _ => permit,
        }
    }

    /// Releases what the permit of a call that counts holds, in its own generation.
    fn leave(&self, permit: CircuitBreakerPermit) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.leave(permit.tag());
        }
        if permit.stamp().state() == State::Recovering {
            self.release_place(permit);
        }
    }

    /// Releases what the permit of a call that never ran holds.
    #[cold]
    pub(crate) fn release(&self, permit: CircuitBreakerPermit) {
        if self.stamp() != permit.stamp() {
            return;
        }
        if permit.is_probe() {
            self.release_place(permit);
        } else {
            self.leave(permit);
        }
    }

    fn release_place(&self, permit: CircuitBreakerPermit) {
        let rules = self.common.settings();
        let mut guarded = self.lock();
        if guarded.machine.stamp() == permit.stamp() {
            guarded.machine.release(permit.ticket());
            self.publish(&guarded.machine, &rules);
        }
    }
}
