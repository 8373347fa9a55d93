//! State that breakers with common settings share: the settings, and counters.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::{Class, Outcome, policy::Counter};

use crate::{
    InvalidCircuitBreaker, Transition, TransitionReason,
    circuits::Circuits,
    nanos::nanos,
    reports::Reports,
    settings::{Settings, reaches},
    transition::TransitionCallbacks,
    watch::Watch,
    window::{Judged, Totals},
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
    slow_rate: AtomicU64,
    min_calls: AtomicU32,
    /// [`Settings::fewest_failures`].
    fewest_failures: AtomicU32,
    /// [`Settings::fewest_slow`].
    fewest_slow: AtomicU32,
    slow_nanos: AtomicU64,
    /// [`Settings::cancelled_as_failed`].
    cancelled_nanos: AtomicU64,
    count_overloaded: AtomicBool,
    observe_only: AtomicBool,
    /// [`Settings::changes`].
    changes: AtomicU32,
    pub(crate) opened: Counter,
    pub(crate) transitioned: Counter,
    pub(crate) rejected: Counter,
    pub(crate) probes: Counter,
    pub(crate) late: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) callbacks: TransitionCallbacks,
    pub(crate) watch: Watch,
    pub(crate) circuits: Circuits,
    pub(crate) reports: Reports<Transition>,
    /// Transitions that were dropped because too many waited for a callback.
    pub(crate) unreported: Counter,
}

impl Common {
    /// Expects checked settings.
    pub(crate) fn new(settings: Settings) -> Self {
        let common = Self {
            settings: Mutex::new(settings),
            failure_rate: AtomicU64::new(0),
            slow_rate: AtomicU64::new(0),
            min_calls: AtomicU32::new(0),
            fewest_failures: AtomicU32::new(0),
            fewest_slow: AtomicU32::new(0),
            slow_nanos: AtomicU64::new(0),
            cancelled_nanos: AtomicU64::new(0),
            count_overloaded: AtomicBool::new(false),
            observe_only: AtomicBool::new(false),
            changes: AtomicU32::new(0),
            opened: Counter::new(),
            transitioned: Counter::new(),
            rejected: Counter::new(),
            probes: Counter::new(),
            late: Counter::new(),
            cancelled: Counter::new(),
            callbacks: TransitionCallbacks::default(),
            watch: Watch::new(),
            circuits: Circuits::default(),
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
        self.slow_rate.store(settings.slow_rate.to_bits(), Relaxed);
        self.min_calls.store(settings.min_calls, Relaxed);
        self.fewest_failures
            .store(settings.fewest_failures(), Relaxed);
        self.fewest_slow.store(settings.fewest_slow(), Relaxed);
        let or_never = |limit: Option<_>| limit.map_or(NEVER, nanos);
        self.slow_nanos.store(or_never(settings.slow_call), Relaxed);
        self.cancelled_nanos
            .store(or_never(settings.cancelled_as_failed()), Relaxed);
        self.count_overloaded
            .store(settings.count_overloaded, Relaxed);
        self.observe_only.store(settings.observe_only, Relaxed);
        self.changes.store(settings.changes, Relaxed);
    }

    /// Queues a transition for the reports. Called with the lock of the state that changed.
    pub(crate) fn queue(&self, transition: Transition) {
        self.transitioned.add();
        let is_read =
            cfg!(feature = "tracing") || !self.callbacks.is_empty() || self.watch.is_read();
        if is_read && !self.reports.push(transition) {
            self.unreported.add();
        }
    }

    /// Reports the queued transitions. Called without a lock.
    pub(crate) fn report(&self) {
        self.reports.deliver(|transition| {
            #[cfg(feature = "tracing")]
            crate::trace::event(transition);
            self.watch.send(transition);
            self.callbacks.each(|callback| callback(transition));
        });
    }

    /// Whether `changes` is still the current [`Settings::changes`].
    pub(crate) fn is_current(&self, changes: u32) -> bool {
        self.changes.load(Relaxed) == changes
    }

    /// Whether requests are admitted that would be rejected.
    pub(crate) fn observes(&self) -> bool {
        self.observe_only.load(Relaxed)
    }

    /// `slow_call` in nanoseconds, [`NEVER`] when it is off.
    pub(crate) fn slow_nanos(&self) -> u64 {
        self.slow_nanos.load(Relaxed)
    }

    /// The verdict on a call that ended, or `None` when it is not counted.
    ///
    /// An answer that is not a failure is a success, whatever its status: a 404 shows that the
    /// service works.
    pub(crate) fn judge(&self, outcome: &Outcome) -> Option<Judged> {
        let failed = match outcome.class {
            Class::Success | Class::Ignored => false,
            Class::Failure => true,
            // Never a success, however fast.
            Class::Overloaded if self.count_overloaded.load(Relaxed) => true,
            // The head was received, and its status would have followed the body.
            Class::Cancelled if outcome.body_dropped() => false,
            Class::Cancelled if self.is_cancelled_late(outcome) => true,
            _ => return None,
        };
        let slow = self.is_slow(outcome);
        Some(Judged { failed, slow })
    }

    /// The verdict on a probe that ended: failed, succeeded, or `None` when it is not counted. A
    /// slow probe has failed. An overloaded answer that does not count as a failure is a success of
    /// the probe; if it were ignored, a service that stays full would keep the breaker half-open.
    pub(crate) fn judge_probe(&self, outcome: &Outcome) -> Option<bool> {
        let judged = self.judge(outcome);
        let uncounted = (outcome.class == Class::Overloaded).then_some(false);
        judged
            .map(|judged| judged.failed || judged.slow)
            .or(uncounted)
    }

    #[inline]
    fn is_slow(&self, outcome: &Outcome) -> bool {
        let limit = self.slow_nanos();
        // While `slow_call` is off, the latency is not computed.
        limit != NEVER && outcome.latency().as_nanos() >= u128::from(limit)
    }

    /// A call that is cancelled after a long time indicates a timeout outside of the breaker. One
    /// that is cancelled early says nothing about the service.
    #[cold]
    fn is_cancelled_late(&self, outcome: &Outcome) -> bool {
        let limit = self.cancelled_nanos.load(Relaxed);
        let late = limit != NEVER && outcome.latency().as_nanos() >= u128::from(limit);
        if !late {
            self.cancelled.add();
        }
        late
    }

    /// Whether these outcomes can open the breaker at all.
    #[inline]
    pub(crate) fn may_trip(&self, totals: Totals) -> bool {
        totals.failures >= self.fewest_failures.load(Relaxed)
            || totals.slow >= self.fewest_slow.load(Relaxed)
    }

    /// Whether these outcomes open the breaker, and why.
    pub(crate) fn trips(&self, totals: Totals) -> Option<TransitionReason> {
        if totals.calls < self.min_calls.load(Relaxed) {
            return None;
        }
        let reaches = |count, rate: &AtomicU64| {
            let rate = f64::from_bits(rate.load(Relaxed));
            count > 0 && reaches(count, totals.calls, rate)
        };
        if reaches(totals.failures, &self.failure_rate) {
            Some(TransitionReason::FailureRate)
        } else if self.slow_nanos() != NEVER && reaches(totals.slow, &self.slow_rate) {
            Some(TransitionReason::SlowRate)
        } else {
            None
        }
    }
}
