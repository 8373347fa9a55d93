//! State that a breaker and its handles share: words that every request reads, and the state
//! machine behind a lock that only state transitions take.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    Kind, Outcome, Rejection,
    policy::{Epoch, Verdict},
};
use tokio::time::Instant;

use crate::{
    CircuitBreakerPermit, State,
    common::Common,
    settings::{Settings, nanos},
    state::{Decision, Ended, Machine, Stamp, wait},
    sync::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    window::Window,
};

/// The name in rejections and metrics.
pub(crate) const NAME: &str = "circuit-breaker";

/// The state of one breaker.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The [`Stamp`] of the machine: all that a request reads while the breaker is closed.
    stamp: AtomicU64,
    /// [`Machine::not_before`] and [`Machine::longest_wait`]: what a rejected request also reads.
    not_before: AtomicU64,
    longest_wait: AtomicU64,
    /// The [`Settings::changes`] that both were computed from.
    computed_from: AtomicU32,
    /// When the latest failure was recorded. Valid while the window holds failures.
    last_failure: AtomicU64,
    epoch: Epoch,
    pub(crate) common: Arc<Common>,
    machine: Mutex<Machine>,
    pub(crate) window: Window,
}

impl Shared {
    pub(crate) fn new(common: Arc<Common>, window: u32) -> Self {
        let machine = Machine::new(fastrand::Rng::new());
        Self {
            stamp: AtomicU64::new(machine.stamp().0),
            not_before: AtomicU64::new(0),
            longest_wait: AtomicU64::new(u64::MAX),
            computed_from: AtomicU32::new(0),
            last_failure: AtomicU64::new(0),
            epoch: Epoch::new(),
            common,
            machine: Mutex::new(machine),
            window: Window::new(window),
        }
    }

    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.stamp.load(Acquire))
    }

    /// Decides on a request while the breaker is not closed.
    #[cold]
    pub(crate) fn ask<W>(&self, now: Instant) -> Verdict<CircuitBreakerPermit, W> {
        let nanos = self.epoch.nanos(now);
        // Most rejections end here: nothing can change before `until` unless a probe ends or a
        // setting changes.
        let until = self.not_before.load(Acquire);
        let computed_from = self.computed_from.load(Relaxed);
        if nanos < until && self.common.is_current(computed_from) {
            let longest = self.longest_wait.load(Relaxed);
            return Verdict::Reject(self.reject(wait(nanos, until, longest)));
        }
        let rules = self.common.settings();
        let mut machine = self.lock();
        let asked = machine.ask(nanos, &rules);
        self.publish(&machine, &rules);
        let stamp = machine.stamp();
        drop(machine);
        match asked {
            Decision::Pass => Verdict::Admit(CircuitBreakerPermit::new(stamp, 0)),
            Decision::Probe(ticket) => {
                self.common.probes.add();
                Verdict::Admit(CircuitBreakerPermit::new(stamp, ticket))
            }
            Decision::Reject { wait } => Verdict::Reject(self.reject(wait)),
        }
    }

    fn reject(&self, wait: Option<u64>) -> Rejection {
        self.common.rejected.add();
        let rejection = Rejection::new(NAME, Kind::CircuitOpen);
        match wait.map(Duration::from_nanos) {
            // The time that probes take is an estimate; the end of an opening is exact.
            Some(wait) if self.stamp().state() == State::HalfOpen => {
                rejection.with_estimated_retry_after(wait)
            }
            Some(wait) => rejection.with_retry_after(wait),
            None => rejection,
        }
    }

    /// Whether a successful end of this call changes nothing: closed now and at admission, and a
    /// full window without a failure.
    #[inline]
    pub(crate) fn is_healthy(&self, permit: CircuitBreakerPermit) -> bool {
        let stamp = self.stamp();
        // Without a ticket the permit is its stamp.
        permit == CircuitBreakerPermit::new(stamp, 0) && stamp.admits() && self.window.is_healthy()
    }

    /// Records any other end of a call.
    #[inline(never)]
    pub(crate) fn finish(&self, permit: CircuitBreakerPermit, outcome: &Outcome) {
        if !permit.stamp().admits() {
            return self.probed(permit, outcome);
        }
        let Some(failed) = self.common.judge(outcome) else {
            return;
        };
        if self.stamp() != permit.stamp() {
            return self.common.late.add();
        }
        if failed {
            self.last_failure
                .store(self.epoch.nanos(outcome.ended()), Relaxed);
        }
        // A success may be the call that completes `min_calls`.
        if self.common.may_trip(self.window.record(failed)) {
            self.consider(permit.stamp(), outcome);
        }
    }

    /// Opens the breaker if the failures reach the rate.
    #[inline(never)]
    fn consider(&self, stamp: Stamp, outcome: &Outcome) {
        if self
            .common
            .trips(self.window.failures(), self.window.calls())
        {
            let rules = self.common.settings();
            let mut machine = self.lock();
            if machine.trip(stamp, self.ended(outcome), &rules) {
                self.common.opened.add();
            }
            self.publish(&machine, &rules);
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
        let rules = self.common.settings();
        let mut machine = self.lock();
        if machine.stamp() != permit.stamp() {
            drop(machine);
            if failed.is_some() {
                self.common.late.add();
            }
            return;
        }
        if machine.probed(permit.ticket(), failed, self.ended(outcome), &rules) {
            self.common.opened.add();
        }
        self.publish(&machine, &rules);
    }

    /// Releases the place of a probe that never ran.
    #[cold]
    pub(crate) fn release(&self, permit: CircuitBreakerPermit) {
        let rules = self.common.settings();
        let mut machine = self.lock();
        if machine.stamp() == permit.stamp() {
            machine.release(permit.ticket());
            self.publish(&machine, &rules);
        }
    }

    /// Sets a state, in a new generation.
    pub(crate) fn force(&self, state: State) {
        let rules = self.common.settings();
        let mut machine = self.lock();
        machine.force(state);
        self.publish(&machine, &rules);
    }

    /// Ends a forced state.
    pub(crate) fn automatic(&self) {
        let rules = self.common.settings();
        let mut machine = self.lock();
        if matches!(
            machine.stamp().state(),
            State::ForcedClosed | State::ForcedOpen
        ) {
            machine.force(State::Closed);
            self.publish(&machine, &rules);
        }
    }

    /// The time until the next request is admitted; zero when one would be admitted now, `None`
    /// when forced open.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let rules = self.common.settings();
        let wait = self.lock().wait(self.epoch.nanos(now), &rules);
        wait.map(Duration::from_nanos)
    }

    /// Probes that hold a place.
    pub(crate) fn probing(&self) -> usize {
        self.lock().probing()
    }

    /// See [`Cell::settles_in`](plimsoll_core::policy::Cell::settles_in).
    pub(crate) fn settles_in(&self, now: Instant) -> Duration {
        let at = match self.lock().settles_at() {
            None => return Duration::MAX,
            Some(0) if self.window.failures() == 0 => return Duration::ZERO,
            Some(0) => {
                let open_for = nanos(self.common.settings().open_for);
                self.last_failure.load(Relaxed).saturating_add(open_for)
            }
            Some(at) => at,
        };
        Duration::from_nanos(at.saturating_sub(self.epoch.nanos(now)))
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the machine's state to readers without the lock. Called with the lock held.
    fn publish(&self, machine: &Machine, rules: &Settings) {
        // Stored before the stamp, so that a reader that sees the open state also sees its end.
        self.longest_wait
            .store(machine.longest_wait(rules), Relaxed);
        self.not_before.store(machine.not_before(rules), Release);
        let stamp = machine.stamp();
        if self.stamp.load(Relaxed) != stamp.0 {
            if stamp.admits() {
                // Before the stamp, so that no outcome of the new generation is removed.
                self.window.reset();
            }
            self.stamp.store(stamp.0, Release);
        }
    }
}
