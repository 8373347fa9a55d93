//! State that breakers with common settings share: the settings, and counters.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::{Class, Outcome, policy::Counter};

use crate::{
    InvalidCircuitBreaker,
    reports::Reports,
    settings::{Settings, nanos, trips},
    transition::{TransitionCallbacks, Unreported},
};

/// The value of `slow_call` or `cancelled_call` that switches it off: no call takes longer.
const NEVER: u64 = u64::MAX;

/// The settings, as a whole behind a lock for state transitions, and in single atomics for every
/// call. A reader of the atomics may see an old value beside a new one during a change, for one
/// decision.
#[derive(Debug)]
pub(crate) struct Common {
    settings: Mutex<Settings>,
    failure_rate: AtomicU64,
    min_calls: AtomicU32,
    /// [`Settings::fewest_failures`].
    fewest_failures: AtomicU32,
    slow_nanos: AtomicU64,
    /// [`Settings::cancelled_as_failed`].
    cancelled_nanos: AtomicU64,
    count_overloaded: AtomicBool,
    /// [`Settings::changes`].
    changes: AtomicU32,
    pub(crate) opened: Counter,
    pub(crate) rejected: Counter,
    pub(crate) probes: Counter,
    pub(crate) late: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) callbacks: TransitionCallbacks,
    pub(crate) reports: Reports<Unreported>,
    /// Transitions that were dropped because too many waited for a callback.
    pub(crate) unreported: Counter,
}

impl Common {
    /// Expects checked settings.
    pub(crate) fn new(settings: Settings) -> Self {
        let common = Self {
            settings: Mutex::new(settings),
            failure_rate: AtomicU64::new(0),
            min_calls: AtomicU32::new(0),
            fewest_failures: AtomicU32::new(0),
            slow_nanos: AtomicU64::new(0),
            cancelled_nanos: AtomicU64::new(0),
            count_overloaded: AtomicBool::new(false),
            changes: AtomicU32::new(0),
            opened: Counter::new(),
            rejected: Counter::new(),
            probes: Counter::new(),
            late: Counter::new(),
            cancelled: Counter::new(),
            callbacks: TransitionCallbacks::default(),
            reports: Reports::new(),
            unreported: Counter::new(),
        };
        common.publish(&settings);
        common
    }

    pub(crate) fn settings(&self) -> Settings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes settings; none of them when the result is out of bounds.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), InvalidCircuitBreaker> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = *settings;
        change(&mut changed);
        changed.changes = changed.changes.wrapping_add(1);
        *settings = changed.check()?;
        self.publish(&settings);
        Ok(())
    }

    fn publish(&self, settings: &Settings) {
        self.failure_rate
            .store(settings.threshold.to_bits(), Relaxed);
        self.min_calls.store(settings.min_calls, Relaxed);
        self.fewest_failures
            .store(settings.fewest_failures(), Relaxed);
        let or_never = |limit: Option<_>| limit.map_or(NEVER, nanos);
        self.slow_nanos.store(or_never(settings.slow_call), Relaxed);
        self.cancelled_nanos
            .store(or_never(settings.cancelled_as_failed()), Relaxed);
        self.count_overloaded
            .store(settings.count_overloaded, Relaxed);
        self.changes.store(settings.changes, Relaxed);
    }

    /// Queues a transition for the callbacks. Called with the lock of the state that changed.
    pub(crate) fn queue(&self, transition: Unreported) {
        if !self.callbacks.is_empty() && !self.reports.push(transition) {
            self.unreported.add();
        }
    }

    /// Calls the callbacks with the queued transitions. Called without a lock.
    pub(crate) fn report(&self) {
        self.reports.deliver(|transition| {
            let transition = transition.as_transition();
            self.callbacks.each(|callback| callback(&transition));
        });
    }

    /// Whether `changes` is still the current [`Settings::changes`].
    pub(crate) fn is_current(&self, changes: u32) -> bool {
        self.changes.load(Relaxed) == changes
    }

    /// The verdict on a call that ended: failed, succeeded, or `None` when it is not counted.
    ///
    /// An answer that is not a failure is a success, whatever its status: a 404 shows that the
    /// service works.
    pub(crate) fn judge(&self, outcome: &Outcome) -> Option<bool> {
        match outcome.class {
            Class::Success | Class::Ignored => Some(self.is_slow(outcome)),
            Class::Failure => Some(true),
            // Never a success, however fast.
            Class::Overloaded => self.count_overloaded.load(Relaxed).then_some(true),
            // The head was received, and its status would have followed the body.
            Class::Cancelled if outcome.body_dropped() => Some(self.is_slow(outcome)),
            Class::Cancelled => self.judge_cancelled(outcome),
            _ => None,
        }
    }

    /// The verdict on a probe that ended. An overloaded answer that does not count as a failure is
    /// a success of the probe; if it were ignored, a service that stays full would keep the breaker
    /// half-open.
    pub(crate) fn judge_probe(&self, outcome: &Outcome) -> Option<bool> {
        let uncounted = (outcome.class == Class::Overloaded).then_some(false);
        self.judge(outcome).or(uncounted)
    }

    /// Whether the latency of calls is needed.
    #[inline]
    pub(crate) fn judges_latency(&self) -> bool {
        self.slow_nanos.load(Relaxed) != NEVER
    }

    #[inline]
    fn is_slow(&self, outcome: &Outcome) -> bool {
        let limit = self.slow_nanos.load(Relaxed);
        // While `slow_call` is off, the latency is not computed.
        limit != NEVER && outcome.latency().as_nanos() >= u128::from(limit)
    }

    /// A call that is cancelled after a long time indicates a timeout outside of the breaker. One
    /// that is cancelled early says nothing about the service.
    #[cold]
    fn judge_cancelled(&self, outcome: &Outcome) -> Option<bool> {
        let limit = self.cancelled_nanos.load(Relaxed);
        let failed = limit != NEVER && outcome.latency().as_nanos() >= u128::from(limit);
        if !failed {
            self.cancelled.add();
        }
        failed.then_some(true)
    }

    /// Whether this many failures can open the breaker at all.
    #[inline]
    pub(crate) fn may_trip(&self, failures: u32) -> bool {
        failures >= self.fewest_failures.load(Relaxed)
    }

    /// Whether this many failures among this many calls open the breaker.
    pub(crate) fn trips(&self, failures: u32, calls: u32) -> bool {
        let rate = f64::from_bits(self.failure_rate.load(Relaxed));
        calls >= self.min_calls.load(Relaxed) && trips(failures, calls, rate)
    }
}
