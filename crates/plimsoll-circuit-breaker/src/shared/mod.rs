//! State that a breaker and its handles share: words that every request reads, and the state
//! machine behind a lock that only state transitions, probes and the calls of a ramp take.

mod ask;
mod by_hand;
mod end;
#[cfg(all(test, loom))]
mod loom_tests;

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use plimsoll_core::policy::{Epoch, Mark};
use tokio::time::Instant;

use crate::{
    CircuitBreakerPermit, State, Transition,
    circuits::{Circuit, OpenKey},
    common::Common,
    in_flight::{InFlight, NOT_COUNTED},
    nanos::nanos,
    settings::Settings,
    state::{Machine, Stamp},
    sync::{
        AtomicU32, AtomicU64, Mutex, MutexGuard,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    window::{Outcomes, Totals},
};

/// The state of one breaker.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The [`Stamp`] of the machine: what a request reads while the breaker is closed.
    stamp: AtomicU64,
    /// The [`Mark`] until which such requests need to read nothing else: the end of a slice of time.
    turn_at: AtomicU64,
    /// The same in nanoseconds, while calls in flight are watched.
    watch_at: AtomicU64,
    /// The stamp whose successes change no decision, or [`NONE`].
    ///
    /// Performance: all that the end of a usual call reads (`instructions`,
    /// `circuit-breaker@accept`).
    usual: AtomicU64,
    epoch: Epoch,
    /// Calls in flight by age, while `slow_call` was set at construction.
    in_flight: Option<Box<InFlight>>,
    /// [`Machine::not_before`] and [`Machine::longest_wait`]: what a rejected request also reads.
    not_before: AtomicU64,
    longest_wait: AtomicU64,
    /// The [`Settings::changes`] that both were computed from.
    computed_from: AtomicU32,
    /// When the latest failure was recorded. Valid while the window holds failures.
    last_failure: AtomicU64,
    pub(crate) common: Arc<Common>,
    this: Weak<Self>,
    guarded: Mutex<Guarded>,
    window: Outcomes,
}

/// No stamp.
const NONE: u64 = u64::MAX;

/// What the lock guards.
#[derive(Debug)]
struct Guarded {
    machine: Machine,
    /// The label of the key, in a breaker per key.
    key: Option<Arc<str>>,
    latest: Option<Transition>,
    /// Whether the breaker is in the list of those that have opened.
    listed: bool,
    /// The state that an evicted key had, and its label, until they are reported.
    evicted: Option<(State, Option<Arc<str>>)>,
}

impl Shared {
    pub(crate) fn new(common: Arc<Common>) -> Arc<Self> {
        let settings = common.settings();
        let machine = Machine::new(fastrand::Rng::new());
        let slow_call = settings.slow_call.map(nanos);
        Arc::new_cyclic(|this| Self {
            stamp: AtomicU64::new(machine.stamp().0),
            turn_at: AtomicU64::new(Mark::NEVER.0),
            watch_at: AtomicU64::new(0),
            usual: AtomicU64::new(NONE),
            epoch: Epoch::new(),
            in_flight: slow_call.map(|slow_call| Box::new(InFlight::new(slow_call))),
            not_before: AtomicU64::new(0),
            longest_wait: AtomicU64::new(u64::MAX),
            computed_from: AtomicU32::new(0),
            last_failure: AtomicU64::new(0),
            common,
            this: Weak::clone(this),
            guarded: Mutex::new(Guarded {
                machine,
                key: None,
                latest: None,
                listed: false,
                evicted: None,
            }),
            window: Outcomes::new(settings.window, settings.max_age, slow_call.is_some()),
        })
    }

    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.stamp.load(Acquire))
    }

    /// Whether latencies are read and calls in flight are watched. Never changes.
    #[inline]
    pub(crate) fn judges_latency(&self) -> bool {
        self.in_flight.is_some()
    }

    fn overdue(&self) -> u32 {
        self.in_flight
            .as_ref()
            .map_or(0, |in_flight| in_flight.overdue())
    }

    /// The outcomes in the window, and calls in flight that are slow.
    pub(crate) fn totals(&self) -> Totals {
        self.window.totals(self.overdue())
    }

    /// Calls in flight that are slow, as of the latest request.
    pub(crate) fn slow_in_flight(&self) -> u32 {
        self.overdue()
    }

    /// The time until the next request is admitted; zero when one would be admitted now, `None`
    /// when forced open.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        let rules = self.common.settings();
        let wait = self.lock().machine.wait(self.epoch.nanos(now), &rules);
        wait.map(Duration::from_nanos)
    }

    /// Probes, or calls of the ramp, that hold a place.
    pub(crate) fn running(&self) -> usize {
        self.lock().machine.running()
    }

    /// How many calls may run at a time; `None` while the state has no limit.
    pub(crate) fn limit(&self) -> Option<u32> {
        let rules = self.common.settings();
        self.lock().machine.limit(&rules)
    }

    pub(crate) fn latest(&self) -> Option<Transition> {
        self.lock().latest.clone()
    }

    /// See [`Evictable::settles_in`](plimsoll_core::policy::Evictable::settles_in).
    pub(crate) fn settles_in(&self, now: Instant) -> Duration {
        let Some(mut at) = self.lock().machine.settles_at() else {
            return Duration::MAX;
        };
        if self.stamp().counts() && !self.window.is_clean() {
            let open_for = nanos(self.common.settings().open_for);
            let kept = self.last_failure.load(Relaxed).saturating_add(open_for);
            at = at.max(kept);
        }
        Duration::from_nanos(at.saturating_sub(self.epoch.nanos(now)))
    }

    /// Changes the machine under its lock. A state transition is reported with its reason, after the
    /// lock was released.
    fn change<T>(&self, at: Instant, change: impl FnOnce(&mut Machine, &Settings) -> T) -> T {
        let rules = self.common.settings();
        let mut guarded = self.lock();
        let from = guarded.machine.stamp().state();
        let result = change(&mut guarded.machine, &rules);
        self.publish(&guarded.machine, &rules);
        let stamp = guarded.machine.stamp();
        if from == stamp.state() {
            return result;
        }
        let transition = Transition {
            from,
            to: stamp.state(),
            reason: guarded.machine.reason(),
            at,
            generation: stamp.generation(),
            key: guarded.key.clone(),
        };
        guarded.latest = Some(transition.clone());
        self.common.queue(transition);
        if !std::mem::replace(&mut guarded.listed, true) {
            let this = Weak::clone(&self.this);
            self.common.circuits.add(this);
        }
        drop(guarded);
        self.common.report();
        result
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
        let (stamp, before) = (machine.stamp(), self.stamp());
        if before == stamp {
            return;
        }
        // The outcomes of a ramp also count after it.
        let continues = before.state() == State::Recovering && stamp.state() == State::Closed;
        if stamp.counts() && !continues {
            // Before the stamp, so that no outcome of the new generation is removed.
            self.window.reset();
        }
        // Before the stamp: a request that reads a stamp that does not admit looks closer.
        self.turn_at.store(Mark::NEVER.0, Relaxed);
        self.watch_at.store(0, Relaxed);
        self.stamp.store(stamp.0, Release);
        self.usual.swap(NONE, AcqRel);
        if let Some(in_flight) = &self.in_flight {
            in_flight.reset();
        }
    }

    /// Lets requests of this stamp be admitted without a closer look until `next`.
    fn usual_until(&self, stamp: Stamp, next: u64, has_slow_calls: bool) {
        // With the lock, so that the mark never outlives the state.
        let guarded = self.lock();
        if !stamp.admits() || guarded.machine.stamp() != stamp {
            return;
        }
        if self.in_flight.is_none() {
            self.turn_at.store(self.epoch.mark(next).0, Release);
        } else if !has_slow_calls {
            self.watch_at.store(next, Release);
        } else {
            self.watch_at.store(0, Release);
        }
    }

    /// The permit of a call that is admitted with this stamp.
    fn permit(&self, stamp: Stamp) -> CircuitBreakerPermit {
        let Some(in_flight) = &self.in_flight else {
            return CircuitBreakerPermit::new(stamp, NOT_COUNTED);
        };
        let mut slice = in_flight.enter();
        // A reset of the counts comes after the new stamp: either it has removed this call, or the
        // new stamp is visible here.
        if self.stamp() != stamp {
            in_flight.leave_in_time(slice);
            slice = NOT_COUNTED;
        }
        CircuitBreakerPermit::new(stamp, slice)
    }
}

impl Circuit for Shared {
    fn entry(&self, now: Instant) -> Option<OpenKey> {
        let rules = self.common.settings();
        let at = self.epoch.nanos(now);
        let guarded = self.lock();
        let state = guarded.machine.stamp().state();
        (state != State::Closed).then(|| OpenKey {
            key: guarded.key.clone(),
            state,
            retry_after: guarded.machine.wait(at, &rules).map(Duration::from_nanos),
        })
    }
}
