//! Closes windows: from arrivals and throughput to a threshold.

use std::time::Duration;

use plimsoll_core::Priority;
use tokio::time::Instant;

use super::{
    arrivals::{Arrivals, Seen},
    budget::{Budget, Window},
    cut::{Cut, LEVELS},
};

/// Requests, or seconds for low rates, with which new arrivals weigh as much as all before them,
/// after a change of the distribution beyond noise. A sudden overload of low priority must move the
/// threshold at once (`high_priority_is_answered_and_low_priority_fills_the_rest`).
const CHANGED: (f64, f64) = (300.0, 0.5);
/// The same without a change. In one window the count of an important level is off by a tenth, and
/// following it would shed a tenth of that level for nothing.
const STEADY: (f64, f64) = (5_000.0, 2.0);
/// Standard deviations from the expected count beyond which the distribution has changed: random
/// counts exceed 3 in one of 370.
const CHANCE: f64 = 3.0;
/// New requests, or seconds, after which the distribution is updated. Fewer requests do not separate
/// a change from noise.
const ENOUGH: (u64, f64) = (500, 0.1);
/// Seconds for which levels below an announced threshold stay in the distribution, since callers hold
/// such requests back. With a shorter time the threshold falls
/// (`the_threshold_stands_while_callers_hold_back_requests_below_it`).
const HELD_BACK: f64 = 10.0;

/// State between windows. One thread has it at a time.
#[derive(Debug)]
pub(crate) struct Closer {
    seen: Seen<LEVELS>,
    done: u64,
    opened: Option<Instant>,
    /// Seconds since the distribution was last updated.
    unseen: f64,
    /// The distribution: arrivals of each level per second, smoothed.
    rates: [f64; LEVELS],
    budget: Budget,
    cut: Cut,
}

/// The inputs of a window's end.
pub(crate) struct Readings<'a> {
    pub(crate) arrivals: &'a Arrivals<LEVELS>,
    /// Calls that counted as work done, since the start.
    pub(crate) done: u64,
    pub(crate) load: f64,
    /// The length of a window.
    pub(crate) shortest: Duration,
    /// Whether the threshold is announced, so that callers may hold back requests below it.
    pub(crate) told: bool,
}

impl Closer {
    pub(crate) fn new(seen: Seen<LEVELS>) -> Self {
        Self {
            seen,
            done: 0,
            opened: None,
            unseen: 0.0,
            rates: [0.0; LEVELS],
            budget: Budget::default(),
            cut: Cut::OPEN,
        }
    }

    /// Closes the window at `now` if it is long enough, and returns the threshold from now on.
    pub(crate) fn close(&mut self, now: Instant, readings: &Readings<'_>) -> Cut {
        let Some(opened) = self.opened else {
            self.opened = Some(now);
            return self.cut;
        };
        let length = now.saturating_duration_since(opened);
        if length < readings.shortest {
            return self.cut;
        }
        self.opened = Some(now);
        let seconds = length.as_secs_f64();
        self.unseen += seconds;
        if self.unseen >= ENOUGH.1 || self.seen.so_far(readings.arrivals) >= ENOUGH.0 {
            let unseen = std::mem::take(&mut self.unseen);
            self.arrive(unseen, readings);
        }
        let done = readings.done.wrapping_sub(self.done) as f64;
        self.done = readings.done;
        self.budget.close(&Window {
            seconds,
            arriving: self.rates.iter().sum(),
            done,
            load: readings.load,
        });
        self.cut = match self.budget.rate() {
            Some(rate) => Cut::filling(&self.rates, rate),
            None => Cut::OPEN,
        };
        self.cut
    }

    /// Requests per second that are admitted; `None` while nothing is shed.
    pub(crate) fn budget(&self) -> Option<f64> {
        self.budget.rate()
    }

    /// Adds the arrivals of the last `seconds` to the distribution.
    fn arrive(&mut self, seconds: f64, readings: &Readings<'_>) {
        let counts = self.seen.since(readings.arrivals);
        let count: f64 = counts.iter().copied().map(f64::from).sum();
        let weight = |(requests, secs): (f64, f64)| {
            f64::max(count / (count + requests), seconds / (seconds + secs))
        };
        let line = usize::from(self.cut.level());
        let cohorts = usize::from(Priority::COHORTS);
        let criticalities = self.rates.chunks_mut(cohorts).zip(counts.chunks(cohorts));
        for (n, (rates, counts)) in criticalities.enumerate() {
            let expected = seconds * rates.iter().sum::<f64>();
            let came: f64 = counts.iter().copied().map(f64::from).sum();
            let chance = CHANCE * (expected + 1.0).sqrt();
            let changed = (came - expected).abs() > chance;
            let weight = weight(if changed { CHANGED } else { STEADY });
            for (level, (rate, count)) in (n * cohorts..).zip(rates.iter_mut().zip(counts)) {
                // Callers may hold back requests below the threshold: few arrivals are no change.
                let weight = if readings.told && level < line {
                    weight.min(seconds / HELD_BACK)
                } else {
                    weight
                };
                *rate += weight * (f64::from(*count) / seconds - *rate);
            }
        }
    }
}
