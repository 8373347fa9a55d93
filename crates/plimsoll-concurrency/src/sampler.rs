//! From calls that end to windows: what an [`Algorithm`] is told.
//!
//! Calls are counted in lanes, one to a core, by counters that only go up; whoever closes a window takes the
//! difference to the last one. So no call is lost, nobody waits, and a window is closed by one thread while the others go
//! on counting.
//!
//! How many were answered is exact. Where they are so many that a window of milliseconds holds thousands, the latency of
//! some of them says as much as that of all, and costs less: one in a few dozen is looked at.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        PoisonError, TryLockError,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_core::{Class, Counter, Epoch, Outcome, lane, lanes};
use tokio::time::Instant;

use crate::{
    Algorithm, Because, Change, Window, WindowSize,
    histogram::{self, Histogram, Used},
    route::Route,
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
    /// The number of the window at work, and of the last in which calls did not wait for each other.
    window: AtomicU64,
    rested: AtomicU64,
    lanes: Box<[Lane]>,
    /// Requests that found no slot.
    pub(crate) turned_away: Counter,
    because: AtomicU8,
    driver: Mutex<Driver>,
}

/// On cache lines of its own (two, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    answered: AtomicU64,
    dropped: AtomicU64,
    /// Sum of latencies of those looked at, in nanoseconds.
    nanos: AtomicU64,
    /// Sum of the numbers in flight, likewise.
    in_flight: AtomicU64,
    /// The most in flight, since a window was closed.
    most: AtomicU32,
    /// The number in flight when it was last reckoned up, and in the lower half after how many calls it is again.
    lately: AtomicU64,
    /// Sum of what those take at rest whose routes are known, in nanoseconds, and how many they are.
    at_rest: AtomicU64,
    known: AtomicU64,
    /// Of those looked at: also how many that were.
    latencies: Histogram,
}

/// Sums over the lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Totals {
    answered: u64,
    dropped: u64,
    nanos: u64,
    in_flight: u64,
    at_rest: u64,
    known: u64,
    turned_away: u64,
    refused: u64,
}

#[derive(Debug)]
struct Driver {
    algorithm: Box<dyn Algorithm>,
    /// When the last window ended, and what had been counted by then.
    since: Option<Instant>,
    before: Totals,
    /// Of the time since then, that in which nothing was answered.
    silent: Duration,
    /// The last window's mean.
    latency: Duration,
    latencies_before: [u32; histogram::BUCKETS],
    /// The lowest mean of a window, in nanoseconds; it creeps up.
    lowest: f64,
    /// Latencies of late, older windows weighing less, and where there are any.
    recent: [f32; histogram::BUCKETS],
    used: Used,
}

/// What the end of a window brings.
pub(crate) struct Closed {
    pub(crate) change: Change,
    /// The 90th and 99th percentiles of latencies of late.
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
}

/// How many calls of like latency end between two looks at the clock, in a lane: the head of a long body is no measure of
/// time.
const LOOK: u32 = 16;
/// Where fewer are answered in a second, each is looked at: it costs them less than they would notice.
const MANY: f64 = 524_288.0;
/// Otherwise so many in a window, and at least one in so many.
const ENOUGH: u64 = 1024;
const WIDEST: u64 = 64;
/// What a window's latencies weigh after the next.
const FADE: f32 = 0.9;
/// How fast the lowest mean is forgotten, a window.
const CREEP: f64 = 1.003;
/// A time without answers is no more than chance while it is shorter than so many mean latencies.
const USUAL: u32 = 4;

impl Sampler {
    pub(crate) fn new(algorithm: Box<dyn Algorithm>) -> Self {
        Self {
            epoch: Epoch::new(),
            not_before: AtomicU64::new(0),
            stride: AtomicU32::new(1),
            window: AtomicU64::new(1),
            rested: AtomicU64::new(0),
            lanes: (0..lanes()).map(|_| Lane::default()).collect(),
            turned_away: Counter::new(),
            because: AtomicU8::new(Because::Set as u8),
            driver: Mutex::new(Driver {
                algorithm,
                since: None,
                before: Totals::default(),
                silent: Duration::ZERO,
                latency: Duration::ZERO,
                latencies_before: [0; histogram::BUCKETS],
                lowest: f64::INFINITY,
                recent: [0.0; histogram::BUCKETS],
                used: Used::default(),
            }),
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
            Class::Success => {
                let number = lane.answered.fetch_add(1, Relaxed);
                if number & u64::from(self.stride.load(Relaxed) - 1) != 0 {
                    return None;
                }
            }
            Class::Overloaded | Class::Cancelled => {
                let number = lane.dropped.fetch_add(1, Relaxed);
                return number
                    .is_multiple_of(LOOK.into())
                    .then(|| outcome.ended())
                    .filter(|now| self.may_end(*now));
            }
            // A fast failure is no fast success, and a slow one no slow one.
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

    #[inline(never)]
    fn count_route(&self, lane: &Lane, route: &Route, nanos: u64) {
        let at_rest = route.count(nanos, self.window.load(Relaxed), self.rested.load(Relaxed));
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

    /// Closes the window, unless it holds too little or somebody else is at it.
    #[cold]
    #[inline(never)]
    pub(crate) fn close(
        &self,
        now: Instant,
        limit: u32,
        refused: impl FnOnce() -> u64,
    ) -> Option<Closed> {
        let mut driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return None,
        };
        let Some(began) = driver.since else {
            // The first call of all: from now on.
            driver.since = Some(now);
            driver.before = Totals {
                refused: refused(),
                ..self.totals()
            };
            self.latencies_since(&mut driver.latencies_before);
            self.next_not_before(now, driver.size().time);
            return None;
        };
        let totals = self.totals();
        let before = driver.before;
        let size = driver.size();
        let mut answered = totals.answered.wrapping_sub(before.answered);
        let dropped = totals.dropped.wrapping_sub(before.dropped);
        let silent = driver.silent + self.silence(now, began, &driver);
        let enough = |answered: u64| answered.max(dropped) >= size.samples.into() && now > began;
        let (mut own, mut used, mut looked_at) = ([0; histogram::BUCKETS], Used::default(), 0);
        if enough(answered) {
            (own, used) = self.latencies_since(&mut driver.latencies_before);
            looked_at = used.buckets().map(|bucket| u64::from(own[bucket])).sum();
            if looked_at == 0 {
                // Without one that was looked at, they are of the next window.
                answered = 0;
            }
        }
        if !enough(answered) {
            // Not before it can have what is missing; at least a quarter as long again as it took so far.
            driver.silent = silent;
            let so_far = now.saturating_duration_since(began).saturating_sub(silent);
            self.stride.store(1, Relaxed);
            let missing = f64::from(size.samples) / answered.max(dropped).max(1) as f64 - 1.0;
            self.next_not_before(now, so_far.mul_f64(missing.clamp(0.02, 0.25)));
            return None;
        }
        let totals = Totals {
            answered: before.answered.wrapping_add(answered),
            refused: refused(),
            ..totals
        };
        let each = (looked_at as f64).max(1.0);
        let mean = totals.nanos.wrapping_sub(before.nanos) as f64 / each;
        let most = self
            .lanes
            .iter()
            .map(|lane| lane.most.swap(0, Relaxed))
            .max();
        let window = Window {
            began,
            ended: now,
            silent,
            answered,
            dropped,
            latency: Duration::from_nanos(mean as u64),
            deviation: Duration::from_nanos(histogram::deviation(&own, used, mean) as u64),
            in_flight: most.unwrap_or(0),
            mean_in_flight: totals.in_flight.wrapping_sub(before.in_flight) as f64 / each,
            limit,
            turned_away: totals.turned_away.wrapping_sub(before.turned_away),
            refused: totals.refused.wrapping_sub(before.refused),
            at_rest: totals.at_rest(&before, looked_at),
        };
        // What the service needs is seen when little waits in it: in the windows of the lowest latencies of late.
        if answered > 0 {
            driver.lowest = (driver.lowest * CREEP).min(mean.max(1.0));
            driver.latency = window.latency;
        }
        if mean < 1.5 * driver.lowest {
            let weight = answered as f32 / each as f32;
            driver.used = driver.used.and(used);
            for bucket in driver.used.buckets() {
                let count = own[bucket] as f32 * weight;
                driver.recent[bucket] = driver.recent[bucket] * FADE + count;
            }
        }
        let stride = stride(answered, now.saturating_duration_since(began));
        self.stride.store(stride, Relaxed);
        driver.since = Some(now);
        driver.before = totals;
        driver.silent = Duration::ZERO;
        // An algorithm that panics fails no call: the limit stays, and the next window is its next chance.
        let update = || driver.algorithm.update(&window);
        let change = catch_unwind(AssertUnwindSafe(update)).ok();
        self.next_not_before(now, driver.size().time);
        let change = change?;
        self.because.store(change.because as u8, Relaxed);
        let number = self.window.fetch_add(1, Relaxed);
        if change.at_rest {
            self.rested.store(number, Relaxed);
        }
        let quantile = |part| {
            let nanos = histogram::quantile(&driver.recent, driver.used, part);
            Duration::from_nanos(nanos as u64)
        };
        Some(Closed {
            change,
            p90: quantile(0.9),
            p99: quantile(0.99),
        })
    }

    /// How long nothing was answered up to now, if for longer than calls usually take: from when the window may end, the next
    /// call that is answered looks here.
    fn silence(&self, now: Instant, began: Instant, driver: &Driver) -> Duration {
        if driver.latency.is_zero() {
            return Duration::ZERO;
        }
        let could_end = self.not_before.load(Relaxed);
        let gap = Duration::from_nanos(self.epoch.nanos(now).saturating_sub(could_end));
        let gap = gap.saturating_sub(USUAL * driver.latency);
        let before = now
            .saturating_duration_since(began)
            .saturating_sub(driver.silent);
        if 2 * gap > before {
            gap
        } else {
            Duration::ZERO
        }
    }

    fn next_not_before(&self, now: Instant, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let next = self.epoch.nanos(now).saturating_add(time);
        self.not_before.store(next, Relaxed);
    }

    fn totals(&self) -> Totals {
        let start = Totals {
            turned_away: self.turned_away.get(),
            ..Totals::default()
        };
        // Refusals are counted elsewhere.
        self.lanes.iter().fold(start, |sum, lane| Totals {
            answered: sum.answered.wrapping_add(lane.answered.load(Relaxed)),
            dropped: sum.dropped.wrapping_add(lane.dropped.load(Relaxed)),
            nanos: sum.nanos.wrapping_add(lane.nanos.load(Relaxed)),
            in_flight: sum.in_flight.wrapping_add(lane.in_flight.load(Relaxed)),
            at_rest: sum.at_rest.wrapping_add(lane.at_rest.load(Relaxed)),
            known: sum.known.wrapping_add(lane.known.load(Relaxed)),
            ..sum
        })
    }

    /// How often there was which latency since the counts were as they are `before`; and takes what they are now.
    fn latencies_since(
        &self,
        before: &mut [u32; histogram::BUCKETS],
    ) -> ([u32; histogram::BUCKETS], Used) {
        let histograms = || self.lanes.iter().map(|lane| &lane.latencies);
        let used = histograms()
            .map(Histogram::used)
            .fold(Used::default(), Used::and);
        let mut since = [0; histogram::BUCKETS];
        for bucket in used.buckets() {
            let counts = histograms().map(|histogram| histogram.get(bucket));
            let count = counts.fold(0, u32::wrapping_add);
            since[bucket] = count.wrapping_sub(before[bucket]);
            before[bucket] = count;
        }
        (since, used)
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

impl Totals {
    /// What those took at rest that were looked at since `before`, on average; if that is known of most.
    fn at_rest(&self, before: &Self, looked_at: u64) -> Option<Duration> {
        let known = self.known.wrapping_sub(before.known);
        let sum = self.at_rest.wrapping_sub(before.at_rest);
        (known > 0 && 2 * known >= looked_at).then(|| Duration::from_nanos(sum / known))
    }
}

impl Driver {
    /// How much a window holds; at least one call, and one of a second where the algorithm panics.
    fn size(&self) -> WindowSize {
        let size = catch_unwind(AssertUnwindSafe(|| self.algorithm.window()));
        let size = size.unwrap_or(WindowSize {
            time: Duration::from_secs(1),
            samples: 1,
        });
        WindowSize {
            samples: size.samples.max(1),
            ..size
        }
    }
}

/// Of how many answered calls one is looked at, when the next window is like one with so many.
fn stride(answered: u64, time: Duration) -> u32 {
    if (answered as f64) < MANY * time.as_secs_f64() {
        return 1;
    }
    let each = (answered / ENOUGH).clamp(1, WIDEST);
    1 << each.ilog2()
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
