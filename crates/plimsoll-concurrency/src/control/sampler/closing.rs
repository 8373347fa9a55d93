//! Closes windows and calls the algorithm.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, TryLockError, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Sampler,
    driver::{Driver, Latencies},
    route::Windows,
    totals::{Totals, WORK},
};
use crate::{Change, Window};

/// The result of a window.
pub(crate) struct Closed {
    pub(crate) change: Change,
    /// The 90th percentile of recent latencies.
    pub(crate) p90: Duration,
    /// The 99th percentile, at most the time inside the service that deadlines allow for.
    pub(crate) p99: Duration,
}

/// The rate of answered calls per second below which all are sampled: 524,288. Performance: at that
/// rate a sampled call every 2 microseconds costs less than 1 % of a core.
const MANY: f64 = 524_288.0;
/// The number of samples per window above that rate: 1024, a standard error of 3 % for exponential
/// latencies.
const ENOUGH: u64 = 1024;
/// At least one call in this many is sampled.
const WIDEST: u64 = 64;

impl Sampler {
    /// Closes the window, unless it holds too few calls or another thread is closing it.
    #[cold]
    #[inline(never)]
    pub(crate) fn close(
        &self,
        now: Instant,
        limit: u32,
        rejected: impl FnOnce() -> u64,
    ) -> Option<Closed> {
        let mut driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return None,
        };
        let driver = &mut *driver;
        let Some(began) = driver.since else {
            self.begin(driver, now, rejected());
            return None;
        };
        let totals = self.totals();
        let before = driver.before;
        let size = driver.size();
        let mut answered = totals.answered.wrapping_sub(before.answered);
        let cancelled = totals.cancelled.wrapping_sub(before.cancelled);
        let overloaded = totals.overloaded.wrapping_sub(before.overloaded);
        let late = self.is_late(&totals, &before);
        let dropped = overloaded + if late { cancelled } else { 0 };
        let not_answered = cancelled + overloaded;
        let silent = driver.silent + self.silence(now, began, driver);
        let enough = |answered: u64| {
            (answered + dropped).max(not_answered) >= size.samples.into() && now > began
        };
        let mut own = Latencies::none();
        if enough(answered) {
            own = self.own_latencies(driver);
            if own.looked_at == 0 {
                // No call was sampled, so the next window counts them.
                answered = 0;
            }
        }
        if !enough(answered) {
            // Checks again when the missing calls can have ended, and at the latest after a quarter
            // of the window's age.
            driver.silent = silent;
            let so_far = now.saturating_duration_since(began).saturating_sub(silent);
            self.stride.store(1, Relaxed);
            let missing = f64::from(size.samples) / answered.max(not_answered).max(1) as f64 - 1.0;
            let next = so_far.mul_f64(missing.clamp(0.02, 0.25));
            let latest = Duration::from_secs_f64(self.tuning.look_again);
            self.next_not_before(now, next.min(latest));
            return None;
        }
        let totals = Totals {
            answered: before.answered.wrapping_add(answered),
            rejected: rejected(),
            ..totals
        };
        let each = own.each();
        let mean = totals.nanos.wrapping_sub(before.nanos) as f64 / each;
        let window = Window {
            began,
            ended: now,
            silent,
            answered,
            dropped,
            cancelled,
            cancelled_work: totals.cancelled_work.wrapping_sub(before.cancelled_work) as f64
                / WORK as f64,
            late: {
                let late = totals.late_nanos.wrapping_sub(before.late_nanos) as f64;
                late / (late + mean * answered as f64).max(1.0)
            },
            latency: Duration::from_nanos(mean as u64),
            deviation: own.deviation(mean),
            max_in_flight: self.most_in_flight(),
            mean_in_flight: totals.in_flight.wrapping_sub(before.in_flight) as f64 / each,
            limit,
            without_slot: totals.without_slot.wrapping_sub(before.without_slot),
            rejected: totals.rejected.wrapping_sub(before.rejected),
            route_latency: totals.route_latency(&before, own.looked_at),
            deadline_left: self.deadline_left(mean),
        };
        driver.remember(&window, mean, &own);
        let stride = stride(answered, now.saturating_duration_since(began));
        self.stride.store(stride, Relaxed);
        driver.since = Some(now);
        driver.before = totals;
        driver.silent = Duration::ZERO;
        driver.after_idle_time = false;
        self.tell(driver, &window)
    }

    /// The time until deadlines, if it is known and an idle service can answer in it. `mean` is the
    /// latency of the first window.
    fn deadline_left(&self, mean: f64) -> Option<Duration> {
        let no_load = match self.no_load.load(Relaxed) {
            0 => mean as u64,
            nanos => nanos,
        };
        let left = self.deadline_left.load(Relaxed);
        (left > no_load).then(|| Duration::from_nanos(left))
    }

    /// Whether calls were cancelled because they had waited. Calls that are cancelled before an
    /// idle service could have answered do not indicate load.
    fn is_late(&self, totals: &Totals, before: &Totals) -> bool {
        let cancelled = totals.cancelled.wrapping_sub(before.cancelled);
        let nanos = totals.cancelled_nanos.wrapping_sub(before.cancelled_nanos);
        let no_load = self.no_load.load(Relaxed) as f64;
        nanos as f64 >= (1.0 + self.tuning.changed) * no_load * cancelled as f64
    }

    /// Restarts a window of idle time, which says nothing about the load that has just arrived.
    #[cold]
    #[inline(never)]
    pub(super) fn begin_after_idle_time(
        &self,
        now: Instant,
        limit: u32,
        rejected: impl FnOnce() -> u64,
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
        let idle = occupied < self.tuning.noticeable * f64::from(limit);
        if age.as_secs_f64() > self.tuning.shortest_window && idle {
            driver.after_idle_time = true;
            self.begin(&mut driver, now, rejected());
            self.most_in_flight();
        }
    }

    /// Starts a window now.
    fn begin(&self, driver: &mut Driver, now: Instant, rejected: u64) {
        driver.since = Some(now);
        driver.before = Totals {
            rejected,
            ..self.totals()
        };
        driver.silent = Duration::ZERO;
        self.latencies_since(&mut driver.latencies_before);
        self.next_not_before(now, driver.size().time);
    }

    /// Calls the algorithm. If it panics, no call fails: the limit stays, and the next window calls
    /// it again. While the limit is pinned it is not called.
    fn tell(&self, driver: &mut Driver, window: &Window) -> Option<Closed> {
        if self.is_pinned() {
            self.next_not_before(window.ended, driver.size().time);
            return None;
        }
        let update = || driver.algorithm.update(window);
        let change = catch_unwind(AssertUnwindSafe(update)).ok();
        self.next_not_before(window.ended, driver.size().time);
        let windows = Windows(self.windows.load(Relaxed));
        let windows = windows.next(change.is_some_and(|change| change.at_no_load));
        self.windows.store(windows.0, Relaxed);
        self.limited.store(false, Relaxed);
        self.shed.next();
        self.asks.store(true, Relaxed);
        let change = change?;
        let no_load = change.no_load_latency.unwrap_or(driver.lowest());
        self.no_load.store(no_load.as_nanos() as u64, Relaxed);
        self.reason.store(change.reason as u8, Relaxed);
        let p90 = driver.quantile(0.9);
        // Where the 99th percentile exceeds the usual deadline, requiring it would leave the queue
        // empty.
        let most = window.deadline_left.map_or(Duration::MAX, |left| {
            left.mul_f64(self.tuning.inside).max(p90)
        });
        Some(Closed {
            change,
            p90,
            p99: driver.quantile(0.99).min(most),
        })
    }

    /// Returns for how long no call was answered, if that is longer than calls usually take.
    ///
    /// (Once the window may end, the next answered call gets here.)
    fn silence(&self, now: Instant, began: Instant, driver: &Driver) -> Duration {
        if driver.latency.is_zero() {
            return Duration::ZERO;
        }
        let could_end = self.not_before.load(Relaxed);
        let gap = Duration::from_nanos(self.epoch.nanos(now).saturating_sub(could_end));
        let gap = gap.saturating_sub(driver.latency.mul_f64(self.tuning.generations));
        let before = now
            .saturating_duration_since(began)
            .saturating_sub(driver.silent);
        if 2 * gap > before {
            gap
        } else {
            Duration::ZERO
        }
    }

    /// Takes the latencies of this window out of the histograms, so that the next window starts
    /// with new ones.
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
        self.not_before_mark.store(self.epoch.mark(next).0, Relaxed);
    }
}

/// Returns the sampling stride, assuming that the next window has this many answered calls.
fn stride(answered: u64, time: Duration) -> u32 {
    if (answered as f64) < MANY * time.as_secs_f64() {
        return 1;
    }
    let each = (answered / ENOUGH).clamp(1, WIDEST);
    1 << each.ilog2()
}
