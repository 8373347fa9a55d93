//! Vegas: how many requests queue, from latency now against latency without load.

mod settings;

use std::{ops::RangeInclusive, time::Duration};

use super::{
    common::{Common, many_dropped},
    dip::{Dips, Turn},
};
use crate::control::{Algorithm, Change, InvalidAlgorithm, LimitReason, Window, WindowSize};

/// Vegas: keeps the queue that the limit lets form between two lengths, told from latency with and without load.
///
/// With `noload` the latency without load, of `L` requests in flight `q = ceil(L x (1 - noload / latency))` queue. Few let the limit
/// grow, many lower it. The bounds of few and many, and the steps, go with `lg`, the whole part of the decimal logarithm of `L`,
/// at least 1.
///
/// From Netflix's concurrency-limits (`VegasLimit`, by its code: its README has other numbers), after TCP Vegas, Brakmo and Peterson,
/// 1995.
///
/// # The two forms
///
/// | | [`as_published`](Self::as_published) | [`new`](Self::new) |
/// |---|---|---|
/// | `q` at most `lg` | the limit grows by `6 lg` | by `beta` |
/// | below `alpha` | by `lg` | the same |
/// | above `beta` | falls by `lg`: from 200 to 100 in 50 windows | to where `alpha` would queue, by at most a half |
/// | `alpha`, `beta` | `3 lg`, `6 lg` | the same, or an 8th and a 4th of the limit where that is more |
/// | drops | any one lowers it by `lg` | more than 2 calls in 100 lower it by a tenth, at least by `lg` |
/// | `noload` | the lowest mean since the last probe | the same, each mean plus two standard errors |
/// | a probe | takes a window's latency for `noload`, queue included: every 15 L to 30 L windows | lowers the limit for two windows, by at most a half, and takes the second's: every 30 to 60 windows |
/// | limits | 20, within 1 to 1,000 | 20, within 1 to 2^20 |
/// | window | 1 s, 10 calls | twice a call's latency, 100 ms to 1 s, 10 calls |
///
/// Why: a probe of a saturated service makes its queue the new normal, and each further one adds to it; a lowest mean that was
/// a run of light calls stays for `L` half minutes and holds the limit down (a port of it stuck at 1 after mixed work, #117); and at
/// hundreds of slots a queue of `6 lg` is less than the noise of a mean.
///
/// In both, a limit of which less than half was in flight stays as it is unless calls are dropped, and the smoothing is 1: the
/// limit moves to its aim at once.
#[derive(Debug)]
pub struct Vegas {
    common: Common,
    alpha: f64,
    beta: f64,
    smoothing: f64,
    backoff: Option<f64>,
    probe: Probe,
    /// Nanoseconds; 0 before the first window.
    noload: f64,
    dips: Dips,
}

/// When the as_published form probes.
#[derive(Debug)]
struct Probe {
    multiplier: f64,
    windows: f64,
    jitter: f64,
    draw: fastrand::Rng,
}

impl Probe {
    fn new(mut draw: fastrand::Rng) -> Self {
        Self {
            multiplier: 30.0,
            windows: 0.0,
            jitter: 0.5 + draw.f64() / 2.0,
            draw,
        }
    }

    fn is_due(&mut self, limit: f64) -> bool {
        self.windows += 1.0;
        if self.windows < self.jitter * self.multiplier * limit {
            return false;
        }
        self.windows = 0.0;
        self.jitter = 0.5 + self.draw.f64() / 2.0;
        true
    }
}

impl Vegas {
    /// The limit before it is rounded.
    pub fn estimate(&self) -> f64 {
        self.common.limit
    }

    /// The latency without load, as far as it is known; zero before the first window.
    pub fn noload(&self) -> Duration {
        Duration::from_nanos(self.noload as u64)
    }

    fn as_published_update(&mut self, window: &Window, latency: f64) -> (f64, LimitReason) {
        if self.probe.is_due(self.common.limit) {
            self.noload = latency;
            return (self.common.limit, LimitReason::Probe);
        }
        if self.keep_lowest(latency) {
            return (self.common.limit, LimitReason::Steady);
        }
        self.follow(window, latency, window.dropped > 0)
    }

    fn corrected_update(&mut self, window: &Window, latency: f64) -> (f64, LimitReason) {
        let dropped = many_dropped(window);
        if dropped {
            self.dips.rest();
        } else if window.answered == 0 {
            return (self.common.limit, LimitReason::Idle);
        }
        if !dropped {
            self.keep_lowest(cautious(window, latency));
        }
        self.follow(window, latency, dropped)
    }

    /// Takes the latency for the one without load if there was none as low.
    fn keep_lowest(&mut self, latency: f64) -> bool {
        let lowest = self.noload == 0.0 || latency < self.noload;
        if lowest {
            self.noload = latency;
        }
        lowest
    }

    /// The aim by the queue, and one step towards it.
    fn follow(&self, window: &Window, latency: f64, dropped: bool) -> (f64, LimitReason) {
        let limit = self.common.limit;
        let lg = limit.log10().floor().max(1.0);
        let queue = (limit * (1.0 - self.noload / latency)).ceil();
        let (mut alpha, mut beta) = (self.alpha * lg, self.beta * lg);
        if !self.common.as_published {
            (alpha, beta) = (alpha.max(limit / 8.0), beta.max(limit / 4.0));
        }
        let (aim, reason) = if dropped {
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
        let aim = self.common.clamp(aim);
        (
            limit * (1.0 - self.smoothing) + aim * self.smoothing,
            reason,
        )
    }

    /// The limit, lowered: by `lg` in the as_published form, by `excess` in the corrected.
    fn lowered(&self, excess: f64, lg: f64) -> f64 {
        match self.backoff {
            Some(share) => self.common.limit * share,
            None if self.common.as_published => self.common.limit - lg,
            None => self.common.limit - excess.min(self.common.limit / 2.0).max(lg),
        }
    }

    /// The limit to hold instead, while there is a dip.
    fn dip(&mut self, window: &Window, latency: f64) -> Option<f64> {
        if self.common.as_published || many_dropped(window) || window.answered == 0 {
            return None;
        }
        match self.dips.turn() {
            Turn::Normal => None,
            Turn::Due if !self.common.used(window) => {
                // Half empty as it is: this is the service without a queue.
                self.noload = cautious(window, latency);
                self.dips.rest();
                None
            }
            Turn::Due => Some(self.dips.begin(self.common.limit, self.noload, latency)),
            Turn::Hold(low) => Some(low),
            Turn::Measured => {
                self.noload = cautious(window, latency);
                Some(self.common.limit)
            }
        }
    }
}

impl Default for Vegas {
    fn default() -> Self {
        Self::new()
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

    fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidAlgorithm> {
        self.common.set_bounds(within)
    }

    fn update(&mut self, window: &Window) -> Change {
        let latency = self.common.saw(window);
        if let Some(low) = self.dip(window, latency) {
            return self.common.hold(low, LimitReason::Probe);
        }
        let (next, reason) = match self.common.as_published {
            // Without an answer there is no latency, but there may be drops.
            true if window.answered == 0 && window.dropped == 0 => {
                (self.common.limit, LimitReason::Idle)
            }
            true if window.answered == 0 => self.follow(window, latency, true),
            true => self.as_published_update(window, latency),
            false => self.corrected_update(window, latency),
        };
        self.common.set(next, reason)
    }
}

/// The latency and two standard errors: the lowest of many noisy means is too low.
fn cautious(window: &Window, latency: f64) -> f64 {
    let deviation = window.deviation.as_nanos() as f64;
    latency + 2.0 * deviation / (window.answered.max(1) as f64).sqrt()
}
