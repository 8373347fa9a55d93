//! Closing a window, and telling the algorithm of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, TryLockError, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Sampler,
    driver::{Driver, Latencies},
    totals::{Totals, WORK},
};
use crate::{Change, Window, route::Windows};

/// What the end of a window brings.
pub(crate) struct Closed {
    pub(crate) change: Change,
    /// The 90th and 99th percentiles of latencies of late.
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
}

/// Where fewer are answered in a second, each is looked at: it costs them less than they would notice.
const MANY: f64 = 524_288.0;
/// Otherwise so many in a window, and at least one in so many.
const ENOUGH: u64 = 1024;
const WIDEST: u64 = 64;
/// A window that holds too little is looked at again after at most this long, so that load that comes
/// back is seen at once.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Callers that left had waited if they stayed, on average, for this many no-load latencies.
const LATE: f64 = 1.2;
/// The part of the limit below which a window's mean occupancy is idle.
const IDLE: f64 = 0.1;
/// A younger window does not begin anew.
const SHORTEST: Duration = Duration::from_millis(2);
/// A time without answers is no more than chance while it is shorter than so many mean latencies.
const USUAL: u32 = 4;

impl Sampler {
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
        let driver = &mut *driver;
        let Some(began) = driver.since else {
            self.begin(driver, now, refused());
            return None;
        };
        let totals = self.totals();
        let before = driver.before;
        let size = driver.size();
        let mut answered = totals.answered.wrapping_sub(before.answered);
        let cancelled = totals.cancelled.wrapping_sub(before.cancelled);
        let overloaded = totals.overloaded.wrapping_sub(before.overloaded);
        let not_answered = cancelled + overloaded;
        let silent = driver.silent + self.silence(now, began, driver);
        let enough =
            |answered: u64| answered.max(not_answered) >= size.samples.into() && now > began;
        let mut own = Latencies::none();
        if enough(answered) {
            own = self.own_latencies(driver);
            if own.looked_at == 0 {
                // Without one that was looked at, they are of the next window.
                answered = 0;
            }
        }
        if !enough(answered) {
            // Not before it can have what is missing; at least a quarter as long again as it took so far.
            driver.silent = silent;
            let so_far = now.saturating_duration_since(began).saturating_sub(silent);
            self.stride.store(1, Relaxed);
            let missing = f64::from(size.samples) / answered.max(not_answered).max(1) as f64 - 1.0;
            let next = so_far.mul_f64(missing.clamp(0.02, 0.25));
            self.next_not_before(now, next.min(LOOK_AGAIN));
            return None;
        }
        let totals = Totals {
            answered: before.answered.wrapping_add(answered),
            refused: refused(),
            ..totals
        };
        let each = own.each();
        let mean = totals.nanos.wrapping_sub(before.nanos) as f64 / each;
        let window = Window {
            began,
            ended: now,
            silent,
            answered,
            dropped: overloaded
                + if self.is_late(&totals, &before) {
                    cancelled
                } else {
                    0
                },
            cancelled,
            cancelled_work: totals.cancelled_work.wrapping_sub(before.cancelled_work) as f64
                / WORK as f64,
            latency: Duration::from_nanos(mean as u64),
            deviation: own.deviation(mean),
            in_flight: self.most_in_flight(),
            mean_in_flight: totals.in_flight.wrapping_sub(before.in_flight) as f64 / each,
            limit,
            turned_away: totals.turned_away.wrapping_sub(before.turned_away),
            refused: totals.refused.wrapping_sub(before.refused),
            at_rest: totals.at_rest(&before, own.looked_at),
            time_left: match self.time_left.load(Relaxed) {
                0 => None,
                nanos => Some(Duration::from_nanos(nanos)),
            },
        };
        driver.remember(&window, mean, &own);
        let stride = stride(answered, now.saturating_duration_since(began));
        self.stride.store(stride, Relaxed);
        driver.since = Some(now);
        driver.before = totals;
        driver.silent = Duration::ZERO;
        self.tell(driver, &window)
    }

    /// Whether the callers that left did so for having waited. Those that leave before an idle service
    /// could have answered say nothing about the load.
    fn is_late(&self, totals: &Totals, before: &Totals) -> bool {
        let cancelled = totals.cancelled.wrapping_sub(before.cancelled);
        let nanos = totals.cancelled_nanos.wrapping_sub(before.cancelled_nanos);
        let no_load = self.no_load.load(Relaxed) as f64;
        nanos as f64 >= LATE * no_load * cancelled as f64
    }

    /// A window that began in idle time says nothing about the load that has come now: it begins anew.
    #[cold]
    #[inline(never)]
    pub(super) fn begin_after_idle_time(
        &self,
        now: Instant,
        limit: u32,
        refused: impl FnOnce() -> u64,
    ) {
        let Ok(mut driver) = self.driver.try_lock() else {
            return;
        };
        let Some(began) = driver.since else {
            return;
        };
        let age = now.saturating_duration_since(began);
        let busy = self.totals().nanos.wrapping_sub(driver.before.nanos) as f64;
        let occupied = busy / (age.as_nanos() as f64).max(1.0);
        if age > SHORTEST && occupied < IDLE * f64::from(limit) {
            self.begin(&mut driver, now, refused());
            self.most_in_flight();
        }
    }

    /// The window begins now.
    fn begin(&self, driver: &mut Driver, now: Instant, refused: u64) {
        driver.since = Some(now);
        driver.before = Totals {
            refused,
            ..self.totals()
        };
        driver.silent = Duration::ZERO;
        self.latencies_since(&mut driver.latencies_before);
        self.next_not_before(now, driver.size().time);
    }

    /// Has the algorithm move the limit. One that panics fails no call: the limit stays, and the next window is its next
    /// chance.
    fn tell(&self, driver: &mut Driver, window: &Window) -> Option<Closed> {
        let update = || driver.algorithm.update(window);
        let change = catch_unwind(AssertUnwindSafe(update)).ok();
        self.next_not_before(window.ended, driver.size().time);
        let windows = Windows(self.windows.load(Relaxed));
        let windows = windows.next(change.is_some_and(|change| change.at_rest));
        self.windows.store(windows.0, Relaxed);
        self.limited.store(false, Relaxed);
        let change = change?;
        let no_load = change.no_load_latency.unwrap_or(driver.lowest());
        self.no_load.store(no_load.as_nanos() as u64, Relaxed);
        self.because.store(change.because as u8, Relaxed);
        Some(Closed {
            change,
            p90: driver.quantile(0.9),
            p99: driver.quantile(0.99),
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

    /// The latencies since the last window; the next begins with the others.
    fn own_latencies(&self, driver: &mut Driver) -> Latencies {
        let (counts, used) = self.latencies_since(&mut driver.latencies_before);
        let looked_at = used.buckets().map(|bucket| u64::from(counts[bucket]));
        Latencies {
            counts,
            used,
            looked_at: looked_at.sum(),
        }
    }

    fn next_not_before(&self, now: Instant, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let next = self.epoch.nanos(now).saturating_add(time);
        self.not_before.store(next, Relaxed);
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
