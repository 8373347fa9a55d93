//! What is known of the service: how much it gets done, and how long that takes when nothing waits.

use std::{mem, time::Duration};

use super::{SHORTEST, Seen};

/// What a window says of the throughput.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Followed {
    /// What was expected, more or less.
    Near,
    /// Far less, for the first time: a pause, or a service that gets less done. The next window tells.
    Doubt,
    /// Far less, twice.
    Fell,
}

#[derive(Debug)]
pub(super) struct Estimate {
    /// What the service gets done in a second when it has enough to do.
    pub(super) throughput: f64,
    /// How far the last window was off it, in standard deviations.
    pub(super) off: f64,
    /// Mean latency in seconds when nothing waits.
    pub(super) floor: f64,
    /// Standard error of the floor, relative to it.
    pub(super) error: f64,
    /// Coefficient of variation of that latency.
    pub(super) cv: f64,
    /// How far the service has more to do than it can: 0 to 1.
    pub(super) pressed: f64,
    /// What the last window's calls took at rest by their routes, as far as it is known.
    at_rest: Option<f64>,
    /// The part of calls that is dropped.
    pub(super) lost: f64,
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self {
            throughput: 0.0,
            off: 0.0,
            floor: 0.0,
            error: 0.0,
            cv: 1.0,
            pressed: 0.0,
            at_rest: None,
            lost: 0.0,
        }
    }

    /// Requests that the service can work on at once, by Little's law.
    pub(super) fn base(&self) -> f64 {
        self.throughput * self.floor
    }

    /// How much it matters that the floor is uncertain: 1 when it is by a tenth, and less where the headroom is more than
    /// the base, as it is for a few.
    pub(super) fn unsure(&self) -> f64 {
        let base = self.base();
        (10.0 * self.error * base / (base + 20.0)).powi(2)
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

    /// Other routes are asked for: so much slower or faster are all calls, while the service is what it was. Answers with
    /// the logarithm of that.
    pub(super) fn remix(&mut self, seen: &Seen) -> f64 {
        let before = mem::replace(&mut self.at_rest, seen.at_rest);
        let (Some(before), Some(now)) = (before, seen.at_rest) else {
            return 0.0;
        };
        let slower = now / before;
        self.floor *= slower;
        self.throughput /= slower;
        slower.ln()
    }

    /// Routes are learnt from this window: the next is not to be compared with it.
    pub(super) fn routes_learn(&mut self) {
        self.at_rest = None;
    }

    /// Takes a window into the throughput; one that is `settled` may turn it over at once.
    pub(super) fn follow(&mut self, seen: &Seen, limit: f64, settled: bool) -> Followed {
        if self.throughput <= 0.0 {
            self.throughput = seen.throughput;
        }
        let apart = (seen.throughput / self.throughput).ln();
        if !seen.limited {
            // It could have done more: there was nothing more to do.
            self.throughput *= apart.max(0.0).exp();
            self.off = 0.0;
            return Followed::Near;
        }
        let off = apart / self.spread(seen.calls, limit);
        let twice = off * self.off > 0.0 && off.abs().min(self.off.abs()) > 2.5;
        self.off = off;
        if settled && !twice && apart < -0.2 && off < -2.5 {
            return Followed::Doubt;
        }
        let weight = if settled && apart.abs() > 0.2 && (off > 4.0 || twice) {
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
        if apart * weight < -0.4 {
            Followed::Fell
        } else {
            Followed::Near
        }
    }

    /// Learns from calls that found room. With much in flight a high latency may be queueing, which must not be taken for
    /// what the service needs.
    pub(super) fn rest(&mut self, seen: &Seen, stated: Option<f64>) {
        // Long calls are rare, and windows without one look fast: a lower latency has to be more than
        // chance (lab, `one-in-100`).
        let variance = seen.cv.max(self.cv).powi(2);
        let weight = seen.calls / (seen.calls + 250.0 * (1.0 + variance));
        let noise = seen.latency * (variance / seen.calls).sqrt();
        let lower = seen.latency + 2.0 * noise < self.floor;
        if lower || seen.in_flight < 0.7 * self.base() {
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
