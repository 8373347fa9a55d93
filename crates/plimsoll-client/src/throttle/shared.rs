//! State that all services of one policy share.

use std::time::Duration;

use plimsoll_core::{Class, Criticality, Outcome, policy::Epoch, support::Ledger};
use tokio::time::Instant;

use super::{
    formula::probability,
    patience::Patience,
    window::{BUCKETS, Window, is_later},
};
use crate::{
    InvalidAdaptiveThrottle,
    sync::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

const DEFAULT_MULTIPLIER: f64 = 2.0;
const DEFAULT_WINDOW: Duration = Duration::from_secs(120);
const WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);
const DEFAULT_FEWEST: u64 = 10;
/// The highest rejection probability, a share of the requests; 0.8 as in Envoy's admission control.
/// gRPC's padding of 8 requests does not bound a busy client: of 100/s over two minutes it sends 7
/// in 10,000. After five minutes of outage, full recovery takes 23 s; with 1 it takes 50 s, and as
/// published, without [`RECENT`] too, 14 minutes. Test:
/// `after_five_minutes_of_outage_all_requests_are_sent_within_half_a_minute`.
const DEFAULT_MAX_REJECTION: f64 = 0.8;
/// Buckets of the recent part of the window: a sixth of it, 20 s by default. With the whole window
/// instead, recovery takes 2.9 minutes and the test of [`DEFAULT_MAX_REJECTION`] fails.
const RECENT: usize = BUCKETS / 6;

/// Ticks that a call waits for its head before it counts as not accepted, while the callee has
/// answered no call yet. Half of the window, a minute by default: the latency is not known, and answers
/// of a model take that long. `a_cold_burst_is_sent` fails when it is zero.
const COLD_TICKS: u32 = BUCKETS as u32 / 2;

/// The tick before the first one.
const NONE_YET: u32 = u32::MAX;

/// Requests and accepts of one criticality. A call is counted in both in the bucket of its end; until
/// its head it is counted in the bucket of its admission.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) requests: Window,
    pub(crate) accepts: Window,
    /// Calls that were sent and wait for their heads.
    waiting: Window,
}

#[derive(Debug)]
pub(crate) struct Shared {
    counts: [Counts; 4],
    patience: Patience,
    /// The latest tick in which a call was sent whose head has come.
    answered: AtomicU32,
    epoch: Epoch,
    /// Length of a bucket in nanoseconds.
    tick: AtomicU64,
    /// The bits of a float.
    multiplier: AtomicU64,
    /// The bits of a float.
    max_rejection: AtomicU64,
    pub(crate) fewest: AtomicU64,
    pub(crate) ledger: Ledger,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counts {
                requests: Window::new(),
                accepts: Window::new(),
                waiting: Window::new(),
            }),
            patience: Patience::new(),
            answered: AtomicU32::new(NONE_YET),
            epoch: Epoch::new(),
            tick: AtomicU64::new(DEFAULT_WINDOW.as_nanos() as u64 / BUCKETS as u64),
            multiplier: AtomicU64::new(DEFAULT_MULTIPLIER.to_bits()),
            max_rejection: AtomicU64::new(DEFAULT_MAX_REJECTION.to_bits()),
            fewest: AtomicU64::new(DEFAULT_FEWEST),
            ledger: Ledger::default(),
        }
    }
}

impl Shared {
    pub(crate) fn counts(&self, criticality: Criticality) -> &Counts {
        &self.counts[criticality as usize]
    }

    #[inline]
    pub(crate) fn tick(&self, now: Instant) -> u32 {
        self.tick_of(self.epoch.nanos(now))
    }

    #[inline]
    fn tick_of(&self, nanos: u64) -> u32 {
        (nanos / self.tick.load(Relaxed)) as u32
    }

    pub(crate) fn set_window(&self, window: Duration) -> Result<(), InvalidAdaptiveThrottle> {
        if !WINDOWS.contains(&window) {
            return Err(InvalidAdaptiveThrottle::Window(window));
        }
        let tick = window.as_nanos() as u64 / BUCKETS as u64;
        self.tick.store(tick, Relaxed);
        // Ticks have other numbers now.
        self.answered.store(NONE_YET, Relaxed);
        Ok(())
    }

    pub(crate) fn multiplier(&self) -> f64 {
        f64::from_bits(self.multiplier.load(Relaxed))
    }

    pub(crate) fn set_multiplier(&self, multiplier: f64) -> Result<(), InvalidAdaptiveThrottle> {
        if !(1.0..=100.0).contains(&multiplier) {
            return Err(InvalidAdaptiveThrottle::Multiplier(multiplier));
        }
        self.multiplier.store(multiplier.to_bits(), Relaxed);
        Ok(())
    }

    pub(crate) fn max_rejection(&self) -> f64 {
        f64::from_bits(self.max_rejection.load(Relaxed))
    }

    pub(crate) fn set_max_rejection(&self, value: f64) -> Result<(), InvalidAdaptiveThrottle> {
        if !(value > 0.0 && value <= 1.0) {
            return Err(InvalidAdaptiveThrottle::MaxRejection(value));
        }
        self.max_rejection.store(value.to_bits(), Relaxed);
        Ok(())
    }

    /// Counts a call before it is sent.
    #[inline]
    pub(crate) fn sent(&self, criticality: Criticality, tick: u32) {
        self.counts(criticality).waiting.add(tick);
    }

    /// The head of a call that was sent in this tick has come.
    #[inline]
    pub(crate) fn head(&self, criticality: Criticality, tick: u32) {
        self.unsent(criticality, tick);
        // Performance: written once per tick.
        if is_later(tick, self.answered.load(Relaxed)) {
            self.answered.store(tick, Relaxed);
        }
    }

    /// A call that was sent in this tick waits no longer.
    #[inline]
    pub(crate) fn unsent(&self, criticality: Criticality, tick: u32) {
        self.counts(criticality).waiting.take_back(tick);
    }

    /// Calls of this criticality that have waited so long for their heads that the callee seems to hang:
    /// no call that was sent as late was answered.
    #[inline]
    pub(crate) fn overdue(&self, criticality: Criticality, tick: u32) -> u64 {
        let answered = self.answered.load(Relaxed);
        // Performance: the callee has just answered.
        if !is_later(tick, answered.wrapping_add(1)) {
            return 0;
        }
        self.overdue_since(criticality, answered, tick)
    }

    #[cold]
    #[inline(never)]
    fn overdue_since(&self, criticality: Criticality, answered: u32, tick: u32) -> u64 {
        let patience = self.patience.ticks(self.tick.load(Relaxed));
        let until = tick.wrapping_sub(patience.unwrap_or(COLD_TICKS).saturating_add(1));
        let counts = self.counts(criticality);
        counts.waiting.between(answered, until, tick)
    }

    /// Counts a call that ended.
    #[inline]
    pub(crate) fn ended(&self, criticality: Criticality, outcome: &Outcome, only_overload: bool) {
        let now = self.epoch.nanos(outcome.ended());
        let Some(accepted) = self.accepted(outcome, now, only_overload) else {
            return;
        };
        let (counts, tick) = (self.counts(criticality), self.tick_of(now));
        counts.requests.add(tick);
        if accepted {
            counts.accepts.add(tick);
        }
    }

    /// Whether a call that ended like this was accepted; `None` when it is not counted.
    #[inline]
    fn accepted(&self, outcome: &Outcome, now: u64, only_overload: bool) -> Option<bool> {
        let accepted = match outcome.class {
            Class::Success | Class::Ignored => true,
            Class::Failure => only_overload,
            Class::Overloaded => false,
            // The head was received: the callee accepted the call.
            Class::Cancelled if outcome.body_dropped() => true,
            Class::Cancelled => return self.cancelled(outcome),
            _ => return None,
        };
        self.patience.answered(now);
        if accepted {
            self.patience.accepted(outcome.latency().as_nanos() as u64);
        }
        Some(accepted)
    }

    /// A cancelled call counts as rejected when it indicates a hung callee; if not, it is not
    /// counted.
    #[cold]
    fn cancelled(&self, outcome: &Outcome) -> Option<bool> {
        let started = self.epoch.nanos(outcome.started());
        let ran = outcome.ran().as_nanos() as u64;
        self.patience.is_overdue(started, ran).then_some(false)
    }

    /// The probability with which requests of this criticality are shed. The recent part of the
    /// window shows a recovered callee long before the whole window does.
    #[inline]
    pub(crate) fn probability(&self, criticality: Criticality, tick: u32) -> f64 {
        let overdue = self.overdue(criticality, tick);
        let whole = self.probability_in(BUCKETS, overdue, criticality, tick);
        if whole.is_none_or(|probability| probability == 0.0) {
            return 0.0;
        }
        let recent = self.probability_in(RECENT, overdue, criticality, tick);
        let both = [whole, recent].into_iter().flatten();
        both.fold(self.max_rejection(), f64::min)
    }

    /// The unbounded probability from the latest buckets; `None` when they hold too few requests.
    #[inline]
    fn probability_in(
        &self,
        buckets: usize,
        overdue: u64,
        criticality: Criticality,
        tick: u32,
    ) -> Option<f64> {
        let counts = self.counts(criticality);
        let requests = counts.requests.count(buckets, tick) + overdue;
        if requests < self.fewest.load(Relaxed) {
            return None;
        }
        let accepts = counts.accepts.count(buckets, tick);
        Some(probability(requests, accepts, self.multiplier()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Fails when `overdue` returns early for a tick with calls that are overdue.
        #[test]
        fn the_short_path_of_overdue_calls_counts_as_the_long_one(
            calls in proptest::collection::vec((0..3_u32, any::<bool>()), 0..60),
            rest in 0..30_u32,
            latency in proptest::option::of(1..40_000_000_000_u64),
        ) {
            let (shared, critical) = (Shared::default(), Criticality::Critical);
            if let Some(latency) = latency {
                shared.patience.accepted(latency);
            }
            let mut now = 0;
            for (step, has_head) in calls {
                now += step;
                shared.sent(critical, now);
                if has_head {
                    shared.head(critical, now);
                }
            }
            for tick in now..=now + rest {
                let answered = shared.answered.load(Relaxed);
                let long = shared.overdue_since(critical, answered, tick);
                prop_assert_eq!(shared.overdue(critical, tick), long, "in tick {}", tick);
            }
        }
    }
}
