//! Decisions on requests.

use std::time::Duration;

use plimsoll_core::{
    Kind, Rejection,
    policy::{Mark, Verdict},
};
use tokio::time::Instant;

use super::{NONE, Shared};
use crate::{
    CircuitBreakerPermit, NAME, State,
    in_flight::NOT_COUNTED,
    state::{Decision, Ended, Stamp, wait},
    sync::Ordering::{AcqRel, Acquire, Relaxed},
};

impl Shared {
    /// Decides on a request.
    #[inline]
    pub(crate) fn decide<W>(&self, now: Instant) -> Verdict<CircuitBreakerPermit, W> {
        let stamp = self.stamp();
        // A stamp that does not admit was stored after `Mark::NEVER`.
        if Mark(self.turn_at.load(Relaxed)).is_after(now) {
            return Verdict::Admit(CircuitBreakerPermit::new(stamp, NOT_COUNTED));
        }
        self.ask(now)
    }

    /// Decides on a request that is rejected, a probe or a call of the ramp, or the first one of a
    /// slice of time.
    #[cold]
    fn ask<W>(&self, now: Instant) -> Verdict<CircuitBreakerPermit, W> {
        let nanos = self.epoch.nanos(now);
        let mut stamp = self.stamp();
        if stamp.admits() && nanos < self.watch_at.load(Relaxed) {
            return Verdict::Admit(self.permit(stamp));
        }
        if stamp.counts() {
            self.turn(stamp, nanos, now);
            stamp = self.stamp();
        }
        if stamp.admits() {
            return Verdict::Admit(self.permit(stamp));
        }
        // Most rejections end here: nothing can change before `until` unless a call ends or a
        // setting changes.
        let until = self.not_before.load(Acquire);
        let computed_from = self.computed_from.load(Relaxed);
        if nanos < until && self.common.is_current(computed_from) {
            let longest = self.longest_wait.load(Relaxed);
            return self.reject(wait(nanos, until, longest));
        }
        let (asked, stamp) = self.change(now, |machine, rules| {
            let asked = machine.ask(nanos, rules);
            (asked, machine.stamp())
        });
        match asked {
            Decision::Pass | Decision::Ramp => Verdict::Admit(self.permit(stamp)),
            Decision::Probe(ticket) => {
                self.common.probes.add();
                Verdict::Admit(CircuitBreakerPermit::new(stamp, ticket.into()))
            }
            Decision::Reject { wait } => self.reject(wait),
        }
    }

    fn reject<W>(&self, wait: Option<u64>) -> Verdict<CircuitBreakerPermit, W> {
        self.common.rejected.add();
        if self.common.observes() {
            return Verdict::Admit(CircuitBreakerPermit::UNCOUNTED);
        }
        let rejection = Rejection::new(NAME, Kind::CircuitOpen);
        let state = self.stamp().state();
        Verdict::Reject(match wait.map(Duration::from_nanos) {
            // The time that calls take is an estimate; the end of an opening is exact.
            Some(wait) if matches!(state, State::HalfOpen | State::Recovering) => {
                rejection.with_estimated_retry_after(wait)
            }
            Some(wait) => rejection.with_retry_after(wait),
            None => rejection,
        })
    }

    /// Ends slices of time that have ended, and opens the breaker if calls in flight have become too
    /// slow.
    fn turn(&self, stamp: Stamp, nanos: u64, now: Instant) {
        let mut next = self.window.turn(nanos);
        self.usual.swap(NONE, AcqRel);
        let mut overdue = 0;
        let slow_call = self.common.slow_nanos();
        if let Some(in_flight) = &self.in_flight {
            next = next.min(in_flight.turn(nanos, slow_call));
            overdue = in_flight.overdue();
        }
        self.usual_until(stamp, next, overdue > 0);
        if overdue > 0 {
            let ended = Ended {
                at: nanos,
                took: slow_call,
            };
            self.consider(stamp, ended, now);
        }
    }
}
