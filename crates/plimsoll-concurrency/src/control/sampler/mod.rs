//! Turns calls that end into windows for an [`Algorithm`].
//!
//! Calls are counted in shards, one for each core, by counters that only increase. The thread that
//! closes a window takes the difference to the last one, while other threads continue to count. So
//! no call is lost, and no thread waits.
//!
//! The number of answered calls is exact. Latency is sampled: where a window of milliseconds holds
//! thousands of calls, a sample is precise enough and costs less.

mod closing;
mod driver;
mod histogram;
mod route;
mod shed;
mod sums;
mod totals;

use std::{
    ops::RangeInclusive,
    sync::{
        PoisonError,
        atomic::{
            AtomicBool, AtomicU8,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use plimsoll_core::{
    Class, Outcome,
    policy::{Counter, Epoch, Mark},
    support::{shard, shards},
};
use tokio::time::Instant;

pub(crate) use self::{closing::Closed, route::Route};
use self::{
    driver::Driver,
    route::Windows,
    shed::Shed,
    totals::{Lane, WORK},
};
use super::{Algorithm, InvalidLimits, LimitReason, Tuning};
use crate::sync::{AtomicU32, AtomicU64, Mutex};

/// Counts calls, and closes windows for an algorithm.
#[derive(Debug)]
pub(crate) struct Sampler {
    epoch: Epoch,
    tuning: Tuning,
    /// No window ends before this, in nanoseconds since the epoch.
    not_before: AtomicU64,
    /// The same as a [`Mark`].
    not_before_mark: AtomicU64,
    /// One call of this many in a shard is sampled: a power of two.
    stride: AtomicU32,
    /// [`Windows`], for routes.
    windows: AtomicU64,
    lanes: Box<[Lane]>,
    /// Requests that found no slot.
    without_slot: Counter,
    /// Whether a request has found no slot in this window.
    limited: AtomicBool,
    /// No-load latency in nanoseconds; 0 before the first window.
    no_load: AtomicU64,
    /// A low quantile of the time that requests have until their deadline, in nanoseconds; 0 before
    /// the first deadline. Of requests that find a slot, the deadline of one in each window is read.
    deadline_left: AtomicU64,
    /// Whether the deadline of the next request is read.
    asks: AtomicBool,
    /// Which requests find no place in the queue.
    pub(crate) shed: Shed,
    reason: AtomicU8,
    /// While the limit is pinned, windows end without an effect.
    pinned: AtomicBool,
    driver: Mutex<Driver>,
}

/// Calls of similar latency in a shard that end between two checks of the time: 16. Needed since
/// the head of a call with a long body does not show the time of its end.
const LOOK: u32 = 16;

impl Sampler {
    pub(crate) fn new(algorithm: Box<dyn Algorithm>, tuning: &Tuning) -> Self {
        Self {
            epoch: Epoch::new(),
            tuning: *tuning,
            not_before: AtomicU64::new(0),
            not_before_mark: AtomicU64::new(Mark::NEVER.0),
            stride: AtomicU32::new(1),
            windows: AtomicU64::new(Windows::FIRST.0),
            lanes: (0..shards()).map(|_| Lane::default()).collect(),
            without_slot: Counter::new(),
            limited: AtomicBool::new(false),
            no_load: AtomicU64::new(0),
            deadline_left: AtomicU64::new(0),
            asks: AtomicBool::new(false),
            shed: Shed::new(algorithm.longer_queue()),
            reason: AtomicU8::new(LimitReason::Set as u8),
            pinned: AtomicBool::new(false),
            driver: Mutex::new(Driver::new(algorithm)),
        }
    }

    /// Counts a call that ended; `in_flight` is asked for the number in flight, this call included,
    /// if it is sampled. Returns the time if a window may be closed.
    #[inline]
    pub(crate) fn count(
        &self,
        outcome: &Outcome,
        in_flight: impl FnOnce() -> u32,
        route: Option<&Route>,
    ) -> Option<Instant> {
        if Self::is_answered(outcome) {
            self.count_answered(outcome, in_flight, route)
        } else {
            self.count_not_answered(self.lane(), outcome)
        }
    }

    /// Whether the service answered: the call held a slot for as long as its work took, whatever the
    /// status.
    #[inline]
    pub(crate) fn is_answered(outcome: &Outcome) -> bool {
        matches!(
            outcome.class,
            Class::Success | Class::Failure | Class::Ignored
        )
    }

    /// As [`count`](Self::count), for a call that [is answered](Self::is_answered).
    #[inline]
    pub(crate) fn count_answered(
        &self,
        outcome: &Outcome,
        in_flight: impl FnOnce() -> u32,
        route: Option<&Route>,
    ) -> Option<Instant> {
        let lane = self.lane();
        let answered = lane.answered.fetch_add(1, Relaxed);
        if answered & u64::from(self.stride.load(Relaxed) - 1) != 0 {
            return None;
        }
        let (nanos, in_flight) = (outcome.latency_nanos(), in_flight());
        lane.nanos.fetch_add(nanos, Relaxed);
        lane.in_flight.fetch_add(in_flight.into(), Relaxed);
        let number = lane.latencies.count(nanos);
        if let Some(route) = route {
            self.count_route(lane, route, nanos);
        }
        if lane.most.load(Relaxed) < in_flight {
            lane.most.fetch_max(in_flight, Relaxed);
        }
        if number % LOOK == 0 {
            return self.may_end_now(outcome);
        }
        // Performance: adds nanoseconds, which costs less than computing the time of the head
        // (`instructions`, `adaptive@accept`).
        if Mark(self.not_before_mark.load(Relaxed)).is_after_offset(outcome.started(), nanos) {
            return None;
        }
        self.may_end_at_head(outcome)
    }

    /// Performance: out of line, since a mark has shown that nearly all windows do not end
    /// (`instructions`, `adaptive@accept`).
    #[inline(never)]
    fn may_end_at_head(&self, outcome: &Outcome) -> Option<Instant> {
        let head = outcome.head_at();
        self.may_end(head).then_some(head)
    }

    /// Performance: out of line, since it is for one call in 16 (`instructions`, `adaptive@accept`).
    #[inline(never)]
    fn may_end_now(&self, outcome: &Outcome) -> Option<Instant> {
        let now = outcome.ended();
        self.may_end(now).then_some(now)
    }

    #[inline(never)]
    fn count_not_answered(&self, lane: &Lane, outcome: &Outcome) -> Option<Instant> {
        match outcome.class {
            Class::Overloaded => {
                let number = lane.overloaded.fetch_add(1, Relaxed);
                self.may_end_now_and_then(number, outcome)
            }
            Class::Cancelled => self.count_cancelled(lane, outcome),
            // A request that an inner gate rejected did not reach the service.
            _ => None,
        }
    }

    /// A cancelled call held a slot, too: it counts as the part of its work that was done.
    fn count_cancelled(&self, lane: &Lane, outcome: &Outcome) -> Option<Instant> {
        let held = outcome.latency_nanos();
        let no_load = self.no_load.load(Relaxed);
        let work = match no_load {
            0 => WORK,
            _ => (held.saturating_mul(WORK) / no_load).min(WORK),
        };
        if no_load > 0 && held as f64 > (1.0 + self.tuning.changed) * no_load as f64 {
            lane.late_nanos.fetch_add(held, Relaxed);
        }
        let waited = outcome.waited().as_nanos() as u64;
        lane.cancelled_work.fetch_add(work, Relaxed);
        lane.cancelled_nanos
            .fetch_add(held.saturating_add(waited), Relaxed);
        let number = lane.cancelled.fetch_add(1, Relaxed);
        self.may_end_now_and_then(number, outcome)
    }

    #[inline]
    fn may_end_now_and_then(&self, number: u64, outcome: &Outcome) -> Option<Instant> {
        (number % u64::from(LOOK) == 0)
            .then(|| outcome.ended())
            .filter(|now| self.may_end(*now))
    }

    /// Counts a request that found no slot at `now`. The first one after idle time starts a new
    /// window.
    #[inline]
    pub(crate) fn found_no_slot(&self, now: Instant, limit: u32, rejected: impl FnOnce() -> u64) {
        self.without_slot.add();
        if !self.limited.load(Relaxed) {
            self.limited.store(true, Relaxed);
            self.begin_after_idle_time(now, limit, rejected);
        }
    }

    /// Whether the deadline of this request is to be read: of one in each window, so that deadlines
    /// are measured before the first request finds no slot.
    #[inline]
    pub(crate) fn asks_for_deadline(&self) -> bool {
        // Several threads may see it set: then several deadlines are read.
        self.asks.load(Relaxed) && {
            self.asks.store(false, Relaxed);
            true
        }
    }

    /// Takes in the time that a request has until its deadline.
    ///
    /// A quantile estimator: it falls by a tenth for a shorter time and rises by a hundredth for a
    /// longer one, so that one in ten is shorter.
    pub(crate) fn has_left(&self, left: Duration) {
        let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1);
        let no_load = self.no_load.load(Relaxed);
        if left < no_load {
            return; // not even an idle service would answer in time
        }
        let known = self.deadline_left.load(Relaxed);
        let next = match known {
            // Before the first window such deadlines are not known to be too short.
            known if known <= no_load => left,
            known if left < known => left.max(known - known / 10),
            known => left.min(known.saturating_add(known / 100 + 1)),
        };
        self.deadline_left.store(next, Relaxed);
    }

    #[inline(never)]
    fn count_route(&self, lane: &Lane, route: &Route, nanos: u64) {
        let route_nanos = route.count(nanos, Windows(self.windows.load(Relaxed)));
        if route_nanos > 0 {
            lane.route_nanos.fetch_add(route_nanos, Relaxed);
            lane.known.fetch_add(1, Relaxed);
        }
    }

    #[inline]
    fn may_end(&self, now: Instant) -> bool {
        self.epoch.nanos(now) >= self.not_before.load(Relaxed)
    }

    /// Returns the number in flight, at most 16 calls old.
    ///
    /// Performance: `count` reads words that other cores write (`hot`, `adaptive`).
    pub(crate) fn lately_in_flight(&self, count: impl FnOnce() -> u32) -> u32 {
        let lane = self.lane();
        let lately = lane.lately.load(Relaxed);
        let next = if lately as u32 == 0 {
            u64::from(count()) << 32 | u64::from(LOOK - 1)
        } else {
            lately - 1
        };
        lane.lately.store(next, Relaxed);
        (next >> 32) as u32
    }

    #[inline]
    fn lane(&self) -> &Lane {
        // The number of shards is a power of two.
        &self.lanes[shard() & (self.lanes.len() - 1)]
    }

    /// Pins the limit, or unpins it. A window that began before the change ends without an effect.
    pub(crate) fn pin(&self, pinned: bool) {
        self.pinned.store(pinned, Release);
        let reason = if pinned {
            LimitReason::Pinned
        } else {
            LimitReason::Set
        };
        self.reason.store(reason as u8, Relaxed);
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        driver.since = None;
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.load(Acquire)
    }

    /// Changes the algorithm's bounds.
    pub(crate) fn set_bounds(&self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        driver.set_bounds(within)
    }

    /// Returns why the limit has its value.
    pub(crate) fn reason(&self) -> LimitReason {
        let reason = self.reason.load(Relaxed);
        LimitReason::ALL
            .into_iter()
            .find(|b| *b as u8 == reason)
            .unwrap_or_default()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
