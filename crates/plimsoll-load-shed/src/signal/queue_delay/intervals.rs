//! Delays, measured in intervals.

use std::time::Duration;

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use crate::sync::{
    AtomicU64, Mutex,
    Ordering::{Acquire, Relaxed, Release},
};

/// Delays after which an interval ends, once it has lasted [`SHORTEST`].
const FEWEST: u64 = 20;
/// Shortest interval, in nanoseconds.
const SHORTEST: u64 = 2_000_000;
/// Longest interval, in nanoseconds.
const LONGEST: u64 = 100_000_000;
/// How long the load stays without a recorded delay, in nanoseconds.
const KEPT: u64 = 10 * LONGEST;
/// No delay was recorded in the interval.
const NONE: u64 = u64::MAX;
/// Weight of the previous mean run time, in runs.
const RUNS: f64 = 200.0;

/// The unit of a delay.
#[derive(Debug, Clone, Copy)]
pub(super) enum Objective {
    Seconds(f64),
    /// Multiples of the mean run time of requests.
    Runs(f64),
}

/// A sum of durations.
#[derive(Debug)]
struct Total {
    nanos: AtomicU64,
    count: AtomicU64,
}

impl Total {
    fn new() -> Self {
        Self {
            nanos: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// Adds a duration, and returns its nanoseconds.
    #[inline]
    fn add(&self, duration: Duration) -> u64 {
        let nanos = duration.as_nanos().min(u128::from(u32::MAX) * 1_000_000) as u64;
        self.nanos.fetch_add(nanos, Relaxed);
        // Last, so that a reader that sees the count also sees the duration.
        self.count.fetch_add(1, Release);
        nanos
    }

    fn seen(&self) -> Seen {
        let count = self.count.load(Acquire);
        Seen {
            count,
            nanos: self.nanos.load(Relaxed),
        }
    }
}

/// A snapshot of a [`Total`].
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    count: u64,
    nanos: u64,
}

impl Seen {
    /// The number of durations since `before`, and their mean in nanoseconds (NaN when there are
    /// none).
    fn since(self, before: Self) -> (u64, f64) {
        let count = self.count.wrapping_sub(before.count);
        let nanos = self.nanos.wrapping_sub(before.nanos);
        (count, nanos as f64 / count as f64)
    }
}

/// The load, and the delays of the current interval.
#[derive(Debug)]
pub(super) struct Intervals {
    objective: Objective,
    lowest: bool,
    waits: Total,
    runs: Total,
    /// The shortest wait of the interval in nanoseconds, or [`NONE`].
    least: AtomicU64,
    epoch: Epoch,
    /// When to check for the end of the interval.
    due: AtomicU64,
    before: Mutex<Before>,
    /// The bits of the load.
    load: AtomicU64,
}

/// The state at the start of the interval.
#[derive(Debug, Default)]
struct Before {
    began: u64,
    waits: Seen,
    runs: Seen,
    /// The smoothed mean run time in nanoseconds; 0 before the first sample.
    run: f64,
    /// End of the last interval in which a delay was recorded.
    recorded: u64,
}

impl Intervals {
    pub(super) fn new(objective: Objective, lowest: bool) -> Self {
        Self {
            objective,
            lowest,
            waits: Total::new(),
            runs: Total::new(),
            least: AtomicU64::new(NONE),
            epoch: Epoch::new(),
            due: AtomicU64::new(SHORTEST),
            before: Mutex::new(Before::default()),
            load: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn is_relative(&self) -> bool {
        matches!(self.objective, Objective::Runs(_))
    }

    #[inline]
    pub(super) fn load(&self) -> f64 {
        f64::from_bits(self.load.load(Relaxed))
    }

    #[inline]
    pub(super) fn record(&self, waited: Duration) {
        let nanos = self.waits.add(waited);
        if self.lowest {
            self.least.fetch_min(nanos, Relaxed);
        }
    }

    #[inline]
    pub(super) fn record_run(&self, ran: Duration) {
        self.runs.add(ran);
    }

    /// Ends the interval when it is due. If another thread is ending it, this one continues.
    #[inline]
    pub(super) fn tick(&self, now: Instant) {
        let nanos = self.epoch.nanos(now);
        if nanos >= self.due.load(Acquire) {
            self.end(nanos);
        }
    }

    #[cold]
    #[inline(never)]
    fn end(&self, nanos: u64) {
        let Ok(mut before) = self.before.try_lock() else {
            return;
        };
        if nanos < self.due.load(Acquire) {
            return;
        }
        let waits = self.waits.seen();
        let (delays, mean) = waits.since(before.waits);
        if delays >= FEWEST || nanos >= before.began.saturating_add(LONGEST) {
            before.began = nanos;
            before.follow(self.runs.seen());
            if delays > 0 {
                let delay = match self.lowest.then(|| self.least.swap(NONE, Relaxed)) {
                    None => mean,
                    Some(NONE) => 0.0,
                    Some(least) => least as f64,
                };
                self.show(delay, before.run);
                (before.waits, before.recorded) = (waits, nanos);
            } else if nanos.saturating_sub(before.recorded) >= KEPT {
                self.show(0.0, before.run);
            }
        }
        self.due.store(nanos.saturating_add(SHORTEST), Release);
    }

    fn show(&self, delay: f64, run: f64) {
        let load = match self.objective {
            Objective::Seconds(seconds) => delay / (seconds * 1e9),
            Objective::Runs(times) if run > 0.0 => delay / (times * run),
            Objective::Runs(_) => 0.0,
        };
        self.load.store(load.to_bits(), Relaxed);
    }
}

impl Before {
    /// Adds new runs to the mean.
    fn follow(&mut self, runs: Seen) {
        let (count, mean) = runs.since(self.runs);
        if count > 0 {
            let weight = if self.run > 0.0 {
                count as f64 / (count as f64 + RUNS)
            } else {
                1.0
            };
            self.run += weight * (mean - self.run);
            self.runs = runs;
        }
    }
}
