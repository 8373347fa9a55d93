//! Vegas: estimates the queue length from current latency and no-load latency.

mod builder;

use std::{ops::RangeInclusive, time::Duration};

use super::{
    common::{Common, many_dropped},
    probing::{Probing, Step},
};
use crate::control::{Algorithm, Change, InvalidLimits, LimitReason, Window, WindowSize};

pub use self::builder::{InvalidVegas, VegasBuilder};

/// Vegas: keeps the estimated queue length between two bounds.
///
/// The estimate is `q = ceil(L x (1 - R0 / latency))`, with `L` requests in flight and `R0` the
/// no-load latency. The limit grows while `q` is small and falls while it is large. Bounds and
/// steps scale with `lg`, the integer part of `log10(L)`, at least 1.
///
/// From Netflix's concurrency-limits (`VegasLimit`; the numbers are those of its code, which differ
/// from its README), after TCP Vegas (Brakmo and Peterson, 1995).
///
/// # The two forms
///
/// | | [`as_published`](Self::as_published) | [`new`](Self::new) |
/// |---|---|---|
/// | `q` at most `lg` | the limit grows by `6 lg` | by `beta` |
/// | below `alpha` | by `lg` | the same |
/// | above `beta` | falls by `lg`: from 200 to 100 in 50 windows | to where `alpha` would queue, by at most half |
/// | `alpha`, `beta` | `3 lg`, `6 lg` | the same, or 1/8 and 1/4 of the limit where that is more |
/// | drops | any drop lowers it by `lg` | more than 2 calls in 100 lower it by a tenth, at least by `lg` |
/// | `R0` | the lowest mean since the last probe | the same, each mean plus two standard errors |
/// | a probe | takes a window's latency as `R0`, queueing included: every 15 L to 30 L windows | lowers the limit for two windows, by at most half, and takes the latency of the second: every 30 to 60 windows |
/// | limits | 20, within 1 to 1,000 | 20, within 1 to 2^20 |
/// | window | 1 s, 10 calls | twice a call's latency, 100 ms to 1 s, 10 calls |
///
/// Reasons for the corrections:
///
/// - A probe of a saturated service takes its queue for the no-load state, and each further probe
///   adds to it.
/// - A lowest mean from a run of light calls stays for `L` half minutes and holds the limit down (a
///   port stuck at 1 after mixed work, #117).
/// - At hundreds of slots a queue of `6 lg` is less than the noise of a mean.
///
/// In both forms the limit does not move when less than half of it was in flight, unless calls are
/// dropped, and smoothing is 1: the limit moves to its target at once.
#[doc(alias("concurrency-limits", "adaptive concurrency"))]
#[derive(Debug)]
pub struct Vegas {
    common: Common,
    alpha: f64,
    beta: f64,
    smoothing: f64,
    backoff: Option<f64>,
    probe: Probe,
    /// The no-load latency in nanoseconds; 0 before the first window.
    no_load: f64,
    probing: Probing,
}

/// When the published form probes.
#[derive(Debug)]
struct Probe {
    multiplier: f64,
    windows: f64,
    jitter: f64,
    random: fastrand::Rng,
}

impl Probe {
    fn new(multiplier: u32, mut random: fastrand::Rng) -> Self {
        Self {
            multiplier: f64::from(multiplier),
            windows: 0.0,
            jitter: 0.5 + random.f64() / 2.0,
            random,
        }
    }

    fn is_due(&mut self, limit: f64) -> bool {
        self.windows += 1.0;
        if self.windows < self.jitter * self.multiplier * limit {
            return false;
        }
        self.windows = 0.0;
        self.jitter = 0.5 + self.random.f64() / 2.0;
        true
    }
}

impl Vegas {
    /// Returns the limit before rounding.
    pub fn estimate(&self) -> f64 {
        self.common.limit
    }

    /// Returns the estimated no-load latency; zero before the first window.
    pub fn no_load_latency(&self) -> Duration {
        Duration::from_nanos(self.no_load as u64)
    }

    fn as_published_update(&mut self, window: &Window, latency: f64) -> (f64, LimitReason) {
        if self.probe.is_due(self.common.limit) {
            self.no_load = latency;
            return (self.common.limit, LimitReason::Probe);
        }
        if self.keep_lowest(latency) {
            return (self.common.limit, LimitReason::Steady);
        }
        self.step(window, latency, window.dropped > 0)
    }

    fn corrected_update(&mut self, window: &Window, latency: f64) -> (f64, LimitReason) {
        let dropped = many_dropped(window);
        if dropped {
            self.probing.reschedule();
        } else if window.answered == 0 {
            return (self.common.limit, LimitReason::Idle);
        }
        if !dropped {
            self.keep_lowest(cautious(window, latency));
        }
        self.step(window, latency, dropped)
    }

    /// Takes the latency as the no-load latency if it is the lowest so far.
    fn keep_lowest(&mut self, latency: f64) -> bool {
        let lowest = self.no_load == 0.0 || latency < self.no_load;
        if lowest {
            self.no_load = latency;
        }
        lowest
    }

    /// Computes the target from the queue length, and moves one step towards it.
    fn step(&self, window: &Window, latency: f64, dropped: bool) -> (f64, LimitReason) {
        let limit = self.common.limit;
        let lg = limit.log10().floor().max(1.0);
        let queue = (limit * (1.0 - self.no_load / latency)).ceil();
        let (mut alpha, mut beta) = (self.alpha * lg, self.beta * lg);
        if !self.common.as_published {
            (alpha, beta) = (alpha.max(limit / 8.0), beta.max(limit / 4.0));
        }
        let (target, reason) = if dropped {
            (self.lowered(limit / 10.0, lg), LimitReason::Drops)
        } else if !self.common.used(window) {
            return (limit, LimitReason::Idle);
        } else if queue <= lg {
            (limit + beta, LimitReason::Growth)
        } else if queue < alpha {
            (limit + lg, LimitReason::Growth)
        } else if queue > beta {
            (self.lowered(queue - alpha, lg), LimitReason::Latency)
        } else {
            return (limit, LimitReason::Steady);
        };
        let target = self.common.clamp(target);
        (
            limit * (1.0 - self.smoothing) + target * self.smoothing,
            reason,
        )
    }

    /// Returns the lowered limit: by `lg` in the published form, by `excess` in the corrected one.
    fn lowered(&self, excess: f64, lg: f64) -> f64 {
        match self.backoff {
            Some(share) => self.common.limit * share,
            None if self.common.as_published => self.common.limit - lg,
            None => self.common.limit - excess.min(self.common.limit / 2.0).max(lg),
        }
    }

    /// Returns the limit to hold during a probe.
    fn probe_limit(&mut self, window: &Window, latency: f64) -> Option<f64> {
        if self.common.as_published || many_dropped(window) || window.answered == 0 {
            return None;
        }
        match self.probing.advance() {
            Step::Normal => None,
            Step::Due if !self.common.used(window) => {
                // The limit is half unused, so this window shows the service without a queue.
                self.no_load = cautious(window, latency);
                self.probing.reschedule();
                None
            }
            Step::Due => Some(self.probing.start(self.common.limit, self.no_load, latency)),
            Step::Hold(low) => Some(low),
            Step::Measured => {
                self.no_load = cautious(window, latency);
                Some(self.common.limit)
            }
        }
    }
}

impl Algorithm for Vegas {
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
            // Without answers there is no latency, but there may be drops.
            true if window.answered == 0 && window.dropped == 0 => {
                (self.common.limit, LimitReason::Idle)
            }
            true if window.answered == 0 => self.step(window, latency, true),
            true => self.as_published_update(window, latency),
            false => self.corrected_update(window, latency),
        };
        self.common.set(next, reason)
    }
}

/// Returns the latency plus two standard errors: the lowest of many noisy means would be too low.
fn cautious(window: &Window, latency: f64) -> f64 {
    let deviation = window.deviation.as_nanos() as f64;
    latency + 2.0 * deviation / (window.answered.max(1) as f64).sqrt()
}
