//! From calls that end to windows: what an [`Algorithm`] is told.
//!
//! Calls are counted in lanes, one to a core, by counters that only go up; whoever closes a window takes the
//! difference to the last one. So no call is lost, nobody waits, and a window is closed by one thread while the others go
//! on counting.
//!
//! How many were answered is exact. Where they are so many that a window of milliseconds holds thousands, the latency of
//! some of them says as much as that of all, and costs less: one in a few dozen is looked at.

mod closing;
mod driver;
mod totals;

use std::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::{Class, Counter, Epoch, Outcome, lane, lanes};
use tokio::time::Instant;

pub(crate) use self::closing::Closed;
use self::{
    driver::Driver,
    totals::{Lane, WORK},
};
use crate::{
    Algorithm, Because,
    route::{Route, Windows},
    sync::{AtomicU32, AtomicU64, Mutex},
};

/// Counts calls, and tells an algorithm of them.
#[derive(Debug)]
pub(crate) struct Sampler {
    epoch: Epoch,
    /// Nanoseconds since the epoch, before which no window ends.
    not_before: AtomicU64,
    /// Of so many that are answered in a lane, one is looked at: a power of two.
    stride: AtomicU32,
    /// [`Windows`], for routes.
    windows: AtomicU64,
    lanes: Box<[Lane]>,
    /// Requests that found no slot.
    turned_away: Counter,
    /// Whether a request has found no slot in this window.
    limited: AtomicBool,
    /// Latency without queueing, in nanoseconds; 0 before the first window.
    no_load: AtomicU64,
    /// A low quantile of the time that requests without a slot have until their deadline, in
    /// nanoseconds; 0 before the first deadline.
    time_left: AtomicU64,
    because: AtomicU8,
    driver: Mutex<Driver>,
}

/// How many calls of like latency end between two looks at the clock, in a lane: the head of a long body is no measure of
/// time.
const LOOK: u32 = 16;

impl Sampler {
    pub(crate) fn new(algorithm: Box<dyn Algorithm>) -> Self {
        Self {
            epoch: Epoch::new(),
            not_before: AtomicU64::new(0),
            stride: AtomicU32::new(1),
            windows: AtomicU64::new(Windows::FIRST.0),
            lanes: (0..lanes()).map(|_| Lane::default()).collect(),
            turned_away: Counter::new(),
            limited: AtomicBool::new(false),
            no_load: AtomicU64::new(0),
            time_left: AtomicU64::new(0),
            because: AtomicU8::new(Because::Set as u8),
            driver: Mutex::new(Driver::new(algorithm)),
        }
    }

    /// Counts a call that ended with so many in flight, itself included, if it asks. Answers when it is time to close a
    /// window.
    #[inline]
    pub(crate) fn count(
        &self,
        outcome: &Outcome,
        in_flight: impl FnOnce() -> u32,
        route: Option<&Route>,
    ) -> Option<Instant> {
        let lane = self.lane();
        match outcome.class {
            // Each of them held a slot for as long as its work took.
            Class::Success | Class::Failure | Class::Ignored => {
                let number = lane.answered.fetch_add(1, Relaxed);
                if number & u64::from(self.stride.load(Relaxed) - 1) != 0 {
                    return None;
                }
            }
            Class::Overloaded => {
                let number = lane.overloaded.fetch_add(1, Relaxed);
                return self.may_end_now_and_then(number, outcome);
            }
            Class::Cancelled => return self.count_cancelled(lane, outcome),
            // What an inner gate rejected was no call of the service.
            _ => return None,
        }
        let (nanos, in_flight) = (outcome.latency().as_nanos() as u64, in_flight());
        lane.nanos.fetch_add(nanos, Relaxed);
        lane.in_flight.fetch_add(in_flight.into(), Relaxed);
        let number = lane.latencies.count(nanos);
        if let Some(route) = route {
            self.count_route(lane, route, nanos);
        }
        if lane.most.load(Relaxed) < in_flight {
            lane.most.fetch_max(in_flight, Relaxed);
        }
        if number.is_multiple_of(LOOK) {
            let now = outcome.ended();
            return self.may_end(now).then_some(now);
        }
        self.may_end_at_head(outcome, nanos)
            .then(|| outcome.head_at())
    }

    /// A cancelled call held its slot too: it counts by the part of its work that was done.
    #[inline(never)]
    fn count_cancelled(&self, lane: &Lane, outcome: &Outcome) -> Option<Instant> {
        let held = outcome.latency().as_nanos() as u64;
        let work = match self.no_load.load(Relaxed) {
            0 => WORK,
            no_load => (held.saturating_mul(WORK) / no_load).min(WORK),
        };
        let waited = outcome.waited().as_nanos() as u64;
        lane.cancelled_work.fetch_add(work, Relaxed);
        lane.cancelled_nanos
            .fetch_add(held.saturating_add(waited), Relaxed);
        let number = lane.cancelled.fetch_add(1, Relaxed);
        self.may_end_now_and_then(number, outcome)
    }

    #[inline]
    fn may_end_now_and_then(&self, number: u64, outcome: &Outcome) -> Option<Instant> {
        number
            .is_multiple_of(LOOK.into())
            .then(|| outcome.ended())
            .filter(|now| self.may_end(*now))
    }

    /// Counts a request that found no slot at `now`. The first one after idle time begins a new window.
    #[inline]
    pub(crate) fn turn_away(&self, now: Instant, limit: u32, refused: impl FnOnce() -> u64) {
        self.turned_away.add();
        if !self.limited.load(Relaxed) {
            self.limited.store(true, Relaxed);
            self.begin_after_idle_time(now, limit, refused);
        }
    }

    /// A request that found no slot has this long until its deadline.
    ///
    /// The estimate falls by a tenth for a shorter time and rises by a hundredth for a longer one: so
    /// one in ten is shorter.
    pub(crate) fn has_left(&self, left: Duration) {
        let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1);
        if left < self.no_load.load(Relaxed) {
            return; // not even an idle service would answer in time
        }
        let known = self.time_left.load(Relaxed);
        let next = match known {
            0 => left,
            known if left < known => left.max(known - known / 10),
            known => left.min(known.saturating_add(known / 100 + 1)),
        };
        self.time_left.store(next, Relaxed);
    }

    #[inline(never)]
    fn count_route(&self, lane: &Lane, route: &Route, nanos: u64) {
        let at_rest = route.count(nanos, Windows(self.windows.load(Relaxed)));
        if at_rest > 0 {
            lane.at_rest.fetch_add(at_rest, Relaxed);
            lane.known.fetch_add(1, Relaxed);
        }
    }

    #[inline]
    fn may_end(&self, now: Instant) -> bool {
        self.epoch.nanos(now) >= self.not_before.load(Relaxed)
    }

    /// As `may_end` of the moment of the head, after so many nanoseconds: that is not reckoned up, as the start and an
    /// instant so much earlier compare for less.
    #[inline]
    fn may_end_at_head(&self, outcome: &Outcome, nanos: u64) -> bool {
        let earlier = self.not_before.load(Relaxed).checked_sub(nanos);
        match earlier.and_then(|nanos| self.epoch.instant(nanos)) {
            Some(earlier) => outcome.started() >= earlier,
            None => self.may_end(outcome.head_at()),
        }
    }

    /// The number in flight where `reckon` takes what other cores write: so it is asked now and then.
    #[inline]
    pub(crate) fn lately_in_flight(&self, reckon: impl FnOnce() -> u32) -> u32 {
        let lane = self.lane();
        let lately = lane.lately.load(Relaxed);
        let next = if lately as u32 == 0 {
            u64::from(reckon()) << 32 | u64::from(LOOK - 1)
        } else {
            lately - 1
        };
        lane.lately.store(next, Relaxed);
        (next >> 32) as u32
    }

    #[inline]
    fn lane(&self) -> &Lane {
        // As many as a power of two.
        &self.lanes[lane() & (self.lanes.len() - 1)]
    }

    /// Somebody set the limit.
    pub(crate) fn overruled(&self) {
        self.because.store(Because::Set as u8, Relaxed);
    }

    /// Why the limit is what it is.
    pub(crate) fn because(&self) -> Because {
        let because = self.because.load(Relaxed);
        Because::ALL
            .into_iter()
            .find(|b| *b as u8 == because)
            .unwrap_or_default()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
