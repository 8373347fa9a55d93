//! Gradient2: current latency compared with a long average of latency.

mod builder;

use std::{ops::RangeInclusive, time::Duration};

use super::{
    average::Average,
    common::{Common, many_dropped},
    probing::{Probing, Step},
};
use crate::control::{Algorithm, Change, InvalidLimits, LimitReason, Window, WindowSize};

pub use self::builder::{Gradient2Builder, InvalidGradient2};

/// Gradient2: lowers the limit as latency exceeds its long average, and otherwise raises it.
///
/// With `long` the average over many windows and `g = clamp(tolerance x long / latency, 0.5, 1)`,
/// the limit `L` moves towards `L g + allowance` by a smoothing factor.
///
/// From Netflix's concurrency-limits (`Gradient2Limit`).
///
/// # The two forms
///
/// | | [`as_published`](Self::as_published) | [`new`](Self::new) |
/// |---|---|---|
/// | the allowance is added | always: with `g` below 1 the limit settles at `allowance / (1 - g)`, and *rises* to it from below (#134) | only while `g` is 1 |
/// | allowance | 4 | 4, or the square root of the limit where that is more |
/// | drops | ignored (#176) | more than 2 calls in 100 lower the limit as `g` = 0.5 does |
/// | `long` is updated from | every window: a latency three times as high is normal after 208 | windows in which less than half of the limit was in flight, and probes |
/// | limits | 20, within 20 to 200 | 20, within 1 to 2^20 |
/// | window | 1 s, 10 calls | twice a call's latency, 100 ms to 1 s, 10 calls |
///
/// A probe: every 30 to 60 windows (at random) the limit is lowered for two windows, by at most
/// half. In the first window the queue empties; the second counts for half of `long`. Probing costs
/// the difference of about one window in 50, and is skipped while less than half of the limit is in
/// flight.
///
/// In both forms the limit does not move when less than half of it was in flight; smoothing is 0.2,
/// tolerance 1.5, the long average covers 600 windows, and falls by a 20th in each window while it
/// is more than twice the latency.
#[doc(alias("gradient", "adaptive concurrency"))]
#[derive(Debug)]
pub struct Gradient2 {
    common: Common,
    smoothing: f64,
    tolerance: f64,
    allowance: f64,
    long: Average,
    probing: Probing,
}

impl Gradient2 {
    /// Returns the limit before rounding.
    pub fn estimate(&self) -> f64 {
        self.common.limit
    }

    /// Returns the long average of latency; zero before the first window.
    pub fn long_latency(&self) -> Duration {
        Duration::from_nanos(self.long.value() as u64)
    }

    fn as_published_update(&mut self, window: &Window, latency: f64) -> (f64, LimitReason) {
        let limit = self.common.limit;
        let long = self.long.add(latency);
        self.long.recover(latency, long);
        if !self.common.used(window) {
            return (limit, LimitReason::Idle);
        }
        let gradient = self.gradient(long, latency);
        let reason = if gradient < 1.0 {
            LimitReason::Latency
        } else {
            LimitReason::Growth
        };
        (self.towards(limit * gradient + self.allowance), reason)
    }

    fn corrected_update(&mut self, window: &Window, latency: f64) -> (f64, LimitReason) {
        let limit = self.common.limit;
        if many_dropped(window) {
            self.probing.reschedule();
            return (self.towards(limit * 0.5), LimitReason::Drops);
        }
        if window.answered == 0 {
            return (limit, LimitReason::Idle);
        }
        let used = self.common.used(window);
        if self.long.is_warming_up() || !used {
            self.long.add(latency);
        }
        self.long.recover(latency, self.long.value());
        if !used {
            self.probing.reschedule();
            return (limit, LimitReason::Idle);
        }
        let gradient = self.gradient(self.long.value(), latency);
        if gradient < 1.0 {
            return (self.towards(limit * gradient), LimitReason::Latency);
        }
        let allowance = self.allowance.max(limit.sqrt());
        (self.towards(limit + allowance), LimitReason::Growth)
    }

    fn gradient(&self, long: f64, latency: f64) -> f64 {
        (self.tolerance * long / latency).clamp(0.5, 1.0)
    }

    fn towards(&self, target: f64) -> f64 {
        self.common.limit * (1.0 - self.smoothing) + target * self.smoothing
    }

    /// Returns the limit to hold during a probe.
    fn probe_limit(&mut self, window: &Window, latency: f64) -> Option<f64> {
        if self.common.as_published || many_dropped(window) || window.answered == 0 {
            return None;
        }
        let limit = self.common.limit;
        match self.probing.advance() {
            Step::Normal => None,
            Step::Due if !self.common.used(window) => None,
            Step::Due => Some(self.probing.start(limit, self.long.value(), latency)),
            Step::Hold(low) => Some(low),
            Step::Measured => {
                self.long.blend(latency, 0.5);
                Some(limit)
            }
        }
    }
}

impl Algorithm for Gradient2 {
    fn initial(&self) -> u32 {
        self.common.initial()
    }

    fn window(&self) -> WindowSize {
        self.common.window()
    }

    fn bounds(&self) -> RangeInclusive<u32> {
        self.common.bounds()
    }

    fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        self.common.set_bounds(within)
    }

    fn update(&mut self, window: &Window) -> Change {
        let latency = self.common.observe(window);
        if let Some(low) = self.probe_limit(window, latency) {
            return self.common.hold(low, LimitReason::Probe);
        }
        let (next, reason) = match self.common.as_published {
            true if window.answered == 0 => (self.common.limit, LimitReason::Idle),
            true => self.as_published_update(window, latency),
            false => self.corrected_update(window, latency),
        };
        self.common.set(next, reason)
    }
}
