//! Dips: for a moment less is let in than can be worked on at once, and what is seen then is the latency without
//! queueing.
//!
//! Nothing else tells a service that has become slow from one with a queue: both have a higher latency.

use std::time::Duration;

use tokio::time::Instant;

use super::{Adaptive, Phase, Seen};
use crate::Because;

/// How far a dip goes below what can be worked on at once.
pub(super) const DIP: f64 = 0.75;
/// The same, of one that only looks whether all is as before.
const SHALLOW: f64 = 0.9;
/// The part of the throughput that dips may cost once the latency is well known.
const COST: f64 = 0.002;
/// The part of it that a dip of usual depth costs while it lasts.
const USUAL: f64 = 1.0 - DIP;

/// Dips are at most so many times as frequent while the latency is uncertain.
const MOST_UNSURE: f64 = 5.0;

/// When to dip, and what the last dips said.
#[derive(Debug, Default)]
pub(super) struct Dips {
    pub(super) next: Option<Instant>,
    began: Option<Instant>,
    /// The limit before it.
    before: f64,
    /// How many agreed with each other.
    pub(super) agreed: u32,
    /// Windows of this one that did not hold together.
    loose: u32,
}

impl Dips {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|at| now >= at)
    }

    /// Once some have agreed, a shallow one will do.
    pub(super) fn depth(&self) -> f64 {
        if self.agreed < 2 { DIP } else { SHALLOW }
    }
}

impl Adaptive {
    pub(super) fn dip(&mut self, now: Instant, to: f64) -> Because {
        let leaving = self.limit;
        if self.dips.began.is_none() {
            self.dips.before = leaving;
        }
        self.set(to.floor(), 1.0, f64::INFINITY);
        self.phase = Phase::Drain;
        self.dips.began.get_or_insert(now);
        self.gain.forget();
        self.size = self.window_of(leaving);
        Because::Probe
    }

    pub(super) fn dipped(&mut self, seen: &Seen) -> Because {
        // Calls that waited before the dip, or short ones only: by Little's law the window does not hold together yet.
        if !seen.holds_together() {
            if self.dips.loose < 4 {
                self.dips.loose += 1;
                self.size = self.measure();
                return Because::Probe;
            }
            // It never does: calls leave, or several cells share the limit.
            let off = (seen.throughput / seen.counted).clamp(0.1, 10.0);
            self.calibration *= off;
            if self.dips.next.is_none() {
                // The start has only counted.
                self.estimate.throughput *= off;
            }
        }
        self.dips.loose = 0;
        let floor = self.estimate.floor;
        // As much was done with less in flight: something still waits.
        let shallow = seen.limit > 0.8 * self.estimate.throughput * seen.latency;
        let full = !shallow && seen.throughput > 0.9 * self.estimate.throughput;
        let noise = seen.latency * seen.cv / seen.calls.sqrt();
        let near = (seen.latency - floor).abs() < 3.0 * noise.max(0.02 * floor);
        if near && !full && self.dips.next.is_some() {
            self.dips.agreed += 1;
            let weight = f64::from(self.dips.agreed + 1).recip().max(0.2);
            self.estimate.floor += (seen.latency - floor) * weight;
            let old = self.estimate.error * (1.0 - weight);
            self.estimate.error = old.hypot(noise / seen.latency * weight);
        } else {
            self.dips.agreed = 0;
            self.estimate.floor = seen.latency;
            self.estimate.error = noise / seen.latency;
        }
        self.estimate.cv += 0.3 * (seen.cv - self.estimate.cv);
        if (full || shallow && !near) && seen.limit > 1.0 {
            return self.dip(seen.now, seen.limit * DIP);
        }
        // The next costs what it has to, even if this one went too low.
        let cost = (1.0 - seen.throughput / self.estimate.throughput).clamp(0.1, USUAL);
        let took = seen.now - self.dips.began.take().unwrap_or(seen.now);
        // The first of them are the most uncertain, and may cost more.
        let budget = COST * (1.0 + 3.0 / f64::from(self.dips.agreed + 1).powi(2));
        let budget = budget * (1.0 + self.estimate.unsure()).min(MOST_UNSURE);
        // Not far above where it was: if the service has become slow the throughput of before is not that of now.
        let most = (1.25 * self.dips.before).max(2.0 * seen.limit);
        self.surface(seen.now + took.mul_f64(cost / budget), most);
        Because::Probe
    }

    /// Ends a dip in which nothing was answered: so few are let in that those who wait leave before or just after their turn.
    pub(super) fn give_up_dip(&mut self, now: Instant) -> Because {
        self.dips.loose = 0;
        self.dips.began = None;
        self.surface(now + Duration::from_secs(1), f64::INFINITY);
        Because::Probe
    }

    /// Back to the goal.
    fn surface(&mut self, next: Instant, most: f64) {
        self.dips.next = Some(next);
        let goal = self.goal();
        self.set(goal, 1.0, most);
        self.phase = Phase::Settle;
        self.size = self.window_of(goal);
    }
}
