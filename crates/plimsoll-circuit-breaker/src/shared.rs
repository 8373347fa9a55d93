//! What a breaker and its handles share: the state in two words that every request reads, and the machine behind a lock
//! that only changes of state take.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plimsoll_core::{Epoch, Kind, Outcome, Rejection, Verdict};
use tokio::time::Instant;

use crate::{
    BreakerPermit, State,
    family::Family,
    settings::{Settings, nanos},
    state::{Asked, Ended, Machine, Stamp, wait},
    sync::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    window::Window,
};

/// The name in refusals and metrics.
pub(crate) const NAME: &str = "circuit-breaker";

/// One breaker's state.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The [`Stamp`] of the machine: all that a request reads while the breaker is closed.
    stamp: AtomicU64,
    /// [`Machine::not_before`] and [`Machine::longest_wait`]: all that a rejected request reads
    /// besides.
    not_before: AtomicU64,
    longest_wait: AtomicU64,
    /// The [`Settings::changes`] that both were computed from.
    reckoned_from: AtomicU32,
    /// When the latest failure was recorded. Means something while the window holds failures.
    last_failure: AtomicU64,
    epoch: Epoch,
    pub(crate) family: Arc<Family>,
    machine: Mutex<Machine>,
    pub(crate) window: Window,
}

impl Shared {
    pub(crate) fn new(family: Arc<Family>, window: u32) -> Self {
        let machine = Machine::new(fastrand::Rng::new());
        Self {
            stamp: AtomicU64::new(machine.stamp().0),
            not_before: AtomicU64::new(0),
            longest_wait: AtomicU64::new(u64::MAX),
            reckoned_from: AtomicU32::new(0),
            last_failure: AtomicU64::new(0),
            epoch: Epoch::new(),
            family,
            machine: Mutex::new(machine),
            window: Window::new(window),
        }
    }

    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.stamp.load(Acquire))
    }

    /// A request comes while the breaker does not simply let through.
    #[cold]
    pub(crate) fn ask<W>(&self, now: Instant) -> Verdict<BreakerPermit, W> {
        let nanos = self.epoch.nanos(now);
        // Most rejections end here: nothing can change before that moment unless a probe comes back
        // or a setting changes.
        let until = self.not_before.load(Acquire);
        let reckoned_from = self.reckoned_from.load(Relaxed);
        if nanos < until && self.family.is_current(reckoned_from) {
            let longest = self.longest_wait.load(Relaxed);
            return Verdict::Reject(self.refuse(wait(nanos, until, longest)));
        }
        let rules = self.family.settings();
        let mut machine = self.lock();
        let asked = machine.ask(nanos, &rules);
        self.publish(&machine, &rules);
        let stamp = machine.stamp();
        drop(machine);
        match asked {
            Asked::Pass => Verdict::Admit(BreakerPermit::new(stamp, 0)),
            Asked::Probe(ticket) => {
                self.family.probes.add();
                Verdict::Admit(BreakerPermit::new(stamp, ticket))
            }
            Asked::Refuse { wait } => Verdict::Reject(self.refuse(wait)),
        }
    }

    fn refuse(&self, wait: Option<u64>) -> Rejection {
        self.family.rejected.add();
        let rejection = Rejection::new(NAME, Kind::CircuitOpen);
        match wait.map(Duration::from_nanos) {
            // How long the probes take is an estimate; when an open breaker probes is known.
            Some(wait) if self.stamp().state() == State::HalfOpen => {
                rejection.with_estimated_retry_after(wait)
            }
            Some(wait) => rejection.with_retry_after(wait),
            None => rejection,
        }
    }

    /// Whether a good end of this call changes nothing: closed now as then, and a full window without a failure.
    #[inline]
    pub(crate) fn is_all_well(&self, permit: BreakerPermit) -> bool {
        let stamp = self.stamp();
        // Without a ticket the permit is its stamp.
        permit == BreakerPermit::new(stamp, 0) && stamp.lets_through() && self.window.is_all_well()
    }

    /// Takes in any other end of a call.
    #[inline(never)]
    pub(crate) fn finish(&self, permit: BreakerPermit, outcome: &Outcome) {
        if !permit.stamp().lets_through() {
            return self.probed(permit, outcome);
        }
        let Some(failed) = self.family.judge(outcome) else {
            return;
        };
        if self.stamp() != permit.stamp() {
            return self.family.late.add();
        }
        if failed {
            self.last_failure
                .store(self.epoch.nanos(outcome.ended()), Relaxed);
        }
        // A good answer may be the call that completes `min_calls`.
        if self.family.may_trip(self.window.record(failed)) {
            self.consider(permit.stamp(), outcome);
        }
    }

    /// There are enough failures to open, if the calls are not too many, or too few.
    #[inline(never)]
    fn consider(&self, stamp: Stamp, outcome: &Outcome) {
        if self
            .family
            .trips(self.window.failures(), self.window.calls())
        {
            let rules = self.family.settings();
            let mut machine = self.lock();
            if machine.trip(stamp, self.ended(outcome), &rules) {
                self.family.opened.add();
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

    /// A probe is back.
    fn probed(&self, permit: BreakerPermit, outcome: &Outcome) {
        let failed = self.family.judge_probe(outcome);
        let rules = self.family.settings();
        let mut machine = self.lock();
        if machine.stamp() != permit.stamp() {
            drop(machine);
            if failed.is_some() {
                self.family.late.add();
            }
            return;
        }
        if machine.probed(permit.ticket(), failed, self.ended(outcome), &rules) {
            self.family.opened.add();
        }
        self.publish(&machine, &rules);
    }

    /// A probe never ran: its place is free again.
    #[cold]
    pub(crate) fn give_back(&self, permit: BreakerPermit) {
        let rules = self.family.settings();
        let mut machine = self.lock();
        if machine.stamp() == permit.stamp() {
            machine.give_back(permit.ticket());
            self.publish(&machine, &rules);
        }
    }

    /// Puts the breaker into a state, of a new generation.
    pub(crate) fn force(&self, state: State) {
        let rules = self.family.settings();
        let mut machine = self.lock();
        machine.force(state);
        self.publish(&machine, &rules);
    }

    /// Ends a state that was forced.
    pub(crate) fn automatic(&self) {
        let rules = self.family.settings();
        let mut machine = self.lock();
        if matches!(
            machine.stamp().state(),
            State::ForcedClosed | State::ForcedOpen
        ) {
            machine.force(State::Closed);
            self.publish(&machine, &rules);
        }
    }

    /// How long until the next request is let through; zero when one would be now, `None` when forced open.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let rules = self.family.settings();
        let wait = self.lock().wait(self.epoch.nanos(now), &rules);
        wait.map(Duration::from_nanos)
    }

    /// Probes that hold a place.
    pub(crate) fn probing(&self) -> usize {
        self.lock().probing()
    }

    /// See [`Cell::settles_in`](plimsoll_core::Cell::settles_in).
    pub(crate) fn settles_in(&self, now: Instant) -> Duration {
        let at = match self.lock().settles_at() {
            None => return Duration::MAX,
            Some(0) if self.window.failures() == 0 => return Duration::ZERO,
            Some(0) => {
                let open_for = nanos(self.family.settings().open_for);
                self.last_failure.load(Relaxed).saturating_add(open_for)
            }
            Some(at) => at,
        };
        Duration::from_nanos(at.saturating_sub(self.epoch.nanos(now)))
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the machine's state to those who do not take the lock. Called with the lock held.
    fn publish(&self, machine: &Machine, rules: &Settings) {
        // Before the stamp, so that whoever sees the breaker open sees for how long.
        self.longest_wait
            .store(machine.longest_wait(rules), Relaxed);
        self.not_before.store(machine.not_before(rules), Release);
        let stamp = machine.stamp();
        if self.stamp.load(Relaxed) != stamp.0 {
            if stamp.lets_through() {
                // Before the stamp, so that no outcome of the new generation is forgotten.
                self.window.reset();
            }
            self.stamp.store(stamp.0, Release);
        }
    }
}
