//! Closes windows: what arrived and what got done, turned into a line.

use std::time::Duration;

use plimsoll_core::Priority;
use tokio::time::Instant;

use super::{
    arrivals::{Arrivals, Seen},
    budget::{Budget, Window},
    cut::{Cut, LEVELS},
};

/// How quickly the distribution is learned anew when it has changed by more than chance: requests that weigh as much as all before
/// them, and, where there are few, seconds that do ...
const CHANGED: (f64, f64) = (300.0, 0.5);
/// ... and how slowly while it has not. One window's count of what is important is off by a tenth, which is a tenth of it shed
/// in vain.
const STEADY: (f64, f64) = (5_000.0, 2.0);
/// Standard deviations that are not chance any more.
const CHANCE: f64 = 3.0;
/// Arrivals are looked at when there are so many new ones, or after so many seconds. In fewer a change would not be told from
/// chance.
const ENOUGH: (u64, f64) = (500, 0.1);
/// Levels that callers hold back of their own accord are remembered for about this long, in seconds.
const HELD_BACK: f64 = 10.0;

/// What is known between windows. One thread has it at a time.
#[derive(Debug)]
pub(crate) struct Closer {
    seen: Seen<LEVELS>,
    done: u64,
    opened: Option<Instant>,
    /// Seconds since arrivals were last looked at.
    unseen: f64,
    /// Arrivals of each level a second, smoothed.
    rates: [f64; LEVELS],
    budget: Budget,
    cut: Cut,
}

/// What the window is closed with.
pub(crate) struct Readings<'a> {
    pub(crate) arrivals: &'a Arrivals<LEVELS>,
    /// Requests that ended with their work done, ever.
    pub(crate) done: u64,
    pub(crate) load: f64,
    /// The shortest window.
    pub(crate) shortest: Duration,
    /// Whether callers are told the line, and may hold back what is below.
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

    /// Closes the window at `now` if it is long enough, and says where the line runs from here on.
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

    /// Requests a second that may pass, when they are limited.
    pub(crate) fn budget(&self) -> Option<f64> {
        self.budget.rate()
    }

    /// Takes what arrived into the distribution.
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
                // Where callers hold back what is below the line, that it does not arrive says little.
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
