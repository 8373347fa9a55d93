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
    transition::{TransitionReason, Unreported},
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
    guarded: Mutex<Guarded>,
    pub(crate) window: Window,
}

/// What the lock guards.
#[derive(Debug)]
struct Guarded {
    machine: Machine,
    /// The label of the key, in a breaker per key.
    key: Option<Arc<str>>,
    /// The state that an evicted key had, and its label, until they are reported.
    evicted: Option<(State, Option<Arc<str>>)>,
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
            guarded: Mutex::new(Guarded {
                machine,
                key: None,
                evicted: None,
            }),
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
        let (asked, stamp) = self.change(now, |machine, rules| {
            let asked = machine.ask(nanos, rules);
            ((asked, machine.stamp()), TransitionReason::OpeningPassed)
        });
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
            let ended = self.ended(outcome);
            let opened = self.change(outcome.ended(), |machine, rules| {
                let opened = machine.trip(stamp, ended, rules);
                (opened, TransitionReason::FailureRate)
            });
            if opened {
                self.common.opened.add();
            }
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
            let opened = current.then(|| machine.probed(permit.ticket(), failed, ended, rules));
            let reason = match opened {
                Some(true) => TransitionReason::ProbeFailed,
                _ => TransitionReason::ProbesSucceeded,
            };
            (opened, reason)
        });
        match opened {
            Some(true) => self.common.opened.add(),
            None if failed.is_some() => self.common.late.add(),
            _ => {}
        }
    }

    /// Releases the place of a probe that never ran.
    #[cold]
    pub(crate) fn release(&self, permit: CircuitBreakerPermit) {
        let rules = self.common.settings();
        let mut guarded = self.lock();
        if guarded.machine.stamp() == permit.stamp() {
            guarded.machine.release(permit.ticket());
            self.publish(&guarded.machine, &rules);
        }
    }

    /// Sets a state, in a new generation.
    pub(crate) fn force(&self, state: State, now: Instant) {
        self.change(now, |machine, _| {
            machine.force(state);
            ((), TransitionReason::Set)
        });
    }

    /// Ends a forced state.
    pub(crate) fn automatic(&self, now: Instant) {
        self.change(now, |machine, _| {
            let state = machine.stamp().state();
            if matches!(state, State::ForcedClosed | State::ForcedOpen) {
                machine.force(State::Closed);
            }
            ((), TransitionReason::Set)
        });
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
        guarded.machine.force(State::Closed);
        self.publish(&guarded.machine, &rules);
    }

    /// Reports the eviction of the key that had this breaker before, if it was not closed.
    pub(crate) fn report_eviction(&self, now: Instant) {
        let mut guarded = self.lock();
        let Some((from, key)) = guarded.evicted.take() else {
            return;
        };
        self.common.queue(Unreported {
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

    /// Changes the machine under its lock. A state transition is reported with the reason that
    /// `change` returns, after the lock was released.
    fn change<T>(
        &self,
        at: Instant,
        change: impl FnOnce(&mut Machine, &Settings) -> (T, TransitionReason),
    ) -> T {
        let rules = self.common.settings();
        let mut guarded = self.lock();
        let from = guarded.machine.stamp().state();
        let (result, reason) = change(&mut guarded.machine, &rules);
        self.publish(&guarded.machine, &rules);
        let stamp = guarded.machine.stamp();
        if from == stamp.state() {
            return result;
        }
        self.common.queue(Unreported {
            from,
            to: stamp.state(),
            reason,
            at,
            generation: stamp.generation(),
            key: guarded.key.clone(),
        });
        drop(guarded);
        self.common.report();
        result
    }

    /// The time until the next request is admitted; zero when one would be admitted now, `None`
    /// when forced open.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let rules = self.common.settings();
        let wait = self.lock().machine.wait(self.epoch.nanos(now), &rules);
        wait.map(Duration::from_nanos)
    }

    /// Probes that hold a place.
    pub(crate) fn probing(&self) -> usize {
        self.lock().machine.probing()
    }

    /// See [`Evictable::settles_in`](plimsoll_core::policy::Evictable::settles_in).
    pub(crate) fn settles_in(&self, now: Instant) -> Duration {
        let at = match self.lock().machine.settles_at() {
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

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the machine's state to readers without the lock. Called with the lock held.
    fn publish(&self, machine: &Machine, rules: &Settings) {
        self.computed_from.store(rules.changes, Relaxed);
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
