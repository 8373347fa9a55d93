//! What is known of the service: how much it gets done, and how long that takes when nothing waits.

use std::time::Duration;

use super::{SHORTEST, Seen};

#[derive(Debug)]
pub(super) struct Estimate {
    /// What the service gets done in a second when it has enough to do.
    pub(super) throughput: f64,
    /// How far the last window was off it, in standard deviations.
    pub(super) off: f64,
    /// Mean latency in seconds when nothing waits.
    pub(super) floor: f64,
    /// Coefficient of variation of that latency.
    pub(super) cv: f64,
    /// How far the service has more to do than it can: 0 to 1.
    pub(super) pressed: f64,
    /// The part of calls that is dropped.
    pub(super) lost: f64,
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self {
            throughput: 0.0,
            off: 0.0,
            floor: 0.0,
            cv: 1.0,
            pressed: 0.0,
            lost: 0.0,
        }
    }

    /// Requests that the service can work on at once, by Little's law.
    pub(super) fn base(&self) -> f64 {
        self.throughput * self.floor
    }

    /// 1 while the service keeps up, 0 while it has more to do than it can.
    pub(super) fn calm(&self) -> f64 {
        1.0 - self.pressed
    }

    /// Time in which nearly all calls that run now will have ended.
    pub(super) fn tail(&self) -> Duration {
        let seconds = self.floor * (1.0 + 3.0 * self.cv).min(6.0);
        Duration::from_secs_f64(seconds.min(3600.0)).max(SHORTEST)
    }

    /// How far off the throughput of a window with so many calls is, relative to what it is: chance, and those that
    /// are cut off at its ends.
    pub(super) fn spread(&self, calls: f64, limit: f64) -> f64 {
        (self.cv.max(0.2) / calls.sqrt()).max(0.25 * limit / calls)
    }

    /// Whether a window's throughput is what was expected, but for chance.
    pub(super) fn is_same(&self, seen: &Seen) -> bool {
        (seen.throughput / self.throughput).ln().abs() < 0.2 || self.off.abs() < 4.0
    }

    /// Takes a window into the throughput; one that is `settled` may turn it over at once. Answers whether it has fallen
    /// far.
    pub(super) fn follow(&mut self, seen: &Seen, limit: f64, settled: bool) -> bool {
        if self.throughput <= 0.0 {
            self.throughput = seen.throughput;
        }
        let apart = (seen.throughput / self.throughput).ln();
        if !seen.limited {
            // It could have done more: there was nothing more to do.
            self.throughput *= apart.max(0.0).exp();
            self.off = 0.0;
            return false;
        }
        let off = apart / self.spread(seen.calls, limit);
        let twice = off * self.off > 0.0 && off.abs().min(self.off.abs()) > 2.5;
        self.off = off;
        let weight = if settled && apart.abs() > 0.2 && (off.abs() > 4.0 || twice) {
            1.0
        } else {
            seen.calls / (seen.calls + 50.0 + 4.0 * limit + 200.0 * self.cv * self.cv)
        };
        // A window in which many found a free slot says little about how much less can be done.
        let weight = if apart < 0.0 {
            weight * seen.pressed
        } else {
            weight
        };
        self.throughput *= (apart * weight).exp();
        apart * weight < -0.4
    }

    /// Learns from calls that found room. With much in flight a high latency may be queueing, which must not be taken for
    /// what the service needs.
    pub(super) fn rest(&mut self, seen: &Seen, stated: Option<f64>) {
        let weight = seen.calls / (seen.calls + 500.0);
        if seen.latency < self.floor || seen.in_flight < 0.7 * self.base() {
            self.floor += weight * (seen.latency - self.floor);
            self.cv += weight * (seen.cv - self.cv);
        }
        self.floor = stated.unwrap_or(self.floor);
    }

    /// Notes how hard the service is pressed.
    pub(super) fn press(&mut self, seen: &Seen) {
        let weight = seen.calls / (seen.calls + 200.0 + 20.0 * self.base());
        self.pressed += weight * (seen.pressed - self.pressed);
    }
}
