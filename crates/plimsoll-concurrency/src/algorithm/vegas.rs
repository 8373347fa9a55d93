//! Vegas: how many requests queue, from latency now against latency without load.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Algorithm, Because, Change, InvalidAlgorithm, Window, WindowSize,
    bounds::{Bounds, change, checked_window, many_dropped, stretched, used},
    dip::{Dips, Turn},
};

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
/// | | [`faithful`](Self::faithful) | [`new`](Self::new) |
/// |---|---|---|
/// | `q` at most `lg` | the limit grows by `6 lg` | by `beta` |
/// | below `alpha` | by `lg` | the same |
/// | above `beta` | falls by `lg`: from 200 to 100 in 50 windows | to where `alpha` would queue, by at most a half |
/// | `alpha`, `beta` | `3 lg`, `6 lg` | the same, or an 8th and a 4th of the limit where that is more |
/// | drops | any one lowers it by `lg` | more than 2 calls in 100 lower it by a tenth, at least by `lg` |
/// | `noload` | the lowest window since the last probe | the same |
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
    faithful: bool,
    bounds: Bounds,
    size: WindowSize,
    alpha: f64,
    beta: f64,
    smoothing: f64,
    backoff: Option<f64>,
    probe: Probe,
    /// Nanoseconds; 0 before the first window.
    noload: f64,
    limit: f64,
    dips: Dips,
    latency: Duration,
}

/// When the faithful form probes.
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
    /// The mended form.
    pub fn new() -> Self {
        Self {
            faithful: false,
            bounds: Bounds {
                initial: 20,
                min: 1,
                max: 1 << 20,
            },
            size: WindowSize {
                time: Duration::from_millis(100),
                samples: 10,
            },
            alpha: 3.0,
            beta: 6.0,
            smoothing: 1.0,
            backoff: None,
            probe: Probe::new(fastrand::Rng::new()),
            noload: 0.0,
            limit: 20.0,
            dips: Dips::new(),
            latency: Duration::ZERO,
        }
    }

    /// As published, with the published defaults.
    pub fn faithful() -> Self {
        Self {
            faithful: true,
            bounds: Bounds {
                initial: 20,
                min: 1,
                max: 1000,
            },
            size: WindowSize {
                time: Duration::from_secs(1),
                samples: 10,
            },
            ..Self::new()
        }
    }

    /// The first limit, and where it stays.
    ///
    /// # Errors
    ///
    /// Unless 1 <= lowest <= `initial` <= highest <= 2^30.
    pub fn limits(
        mut self,
        initial: u32,
        within: RangeInclusive<u32>,
    ) -> Result<Self, InvalidAlgorithm> {
        self.bounds = Bounds::new(initial, within)?;
        self.limit = f64::from(initial);
        Ok(self)
    }

    /// How much a window holds, at least.
    ///
    /// # Errors
    ///
    /// When its time is less than 1 millisecond or more than 1 hour, or its samples are 0 or more than 2^20.
    pub fn windows(mut self, size: WindowSize) -> Result<Self, InvalidAlgorithm> {
        self.size = checked_window(size)?;
        Ok(self)
    }

    /// The queue to keep, from `alpha` to `beta` times `lg`: 3 to 6, by default.
    ///
    /// # Errors
    ///
    /// Unless 1 <= `alpha` <= `beta` <= 1000.
    pub fn queue_band(mut self, alpha: u32, beta: u32) -> Result<Self, InvalidAlgorithm> {
        if alpha == 0 || alpha > beta || beta > 1000 {
            return Err(InvalidAlgorithm::QueueBand { alpha, beta });
        }
        (self.alpha, self.beta) = (f64::from(alpha), f64::from(beta));
        Ok(self)
    }

    /// How far the limit moves towards its aim in each window: all the way, by default.
    ///
    /// # Errors
    ///
    /// Unless it is more than 0 and at most 1.
    pub fn smoothing(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(InvalidAlgorithm::Smoothing(share));
        }
        self.smoothing = share;
        Ok(self)
    }

    /// Lowers the limit to this share of itself, in place of the steps above.
    ///
    /// # Errors
    ///
    /// When it is less than 0.5, or 1 or more.
    pub fn backoff(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        if !(0.5..1.0).contains(&share) {
            return Err(InvalidAlgorithm::Backoff(share));
        }
        self.backoff = Some(share);
        Ok(self)
    }

    /// The faithful form probes every 0.5 to 1 times so many windows for each request of the limit: 30, by default. The mended form
    /// does not ask for it.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^20.
    pub fn probe_multiplier(mut self, windows: u32) -> Result<Self, InvalidAlgorithm> {
        if windows == 0 || windows > 1 << 20 {
            return Err(InvalidAlgorithm::Probe(windows));
        }
        self.probe.multiplier = f64::from(windows);
        Ok(self)
    }

    /// The limit before it is rounded.
    pub fn estimate(&self) -> f64 {
        self.limit
    }

    /// The latency without load, as far as it is known; zero before the first window.
    pub fn noload(&self) -> Duration {
        Duration::from_nanos(self.noload as u64)
    }

    fn faithful_update(&mut self, window: &Window, latency: f64) -> (f64, Because) {
        if self.probe.is_due(self.limit) {
            self.noload = latency;
            return (self.limit, Because::Probe);
        }
        if self.keep_lowest(latency) {
            return (self.limit, Because::Steady);
        }
        self.follow(window, latency, window.dropped > 0)
    }

    fn mended_update(&mut self, window: &Window, latency: f64) -> (f64, Because) {
        let dropped = many_dropped(window);
        if dropped {
            self.dips.rest();
        } else if window.answered == 0 {
            return (self.limit, Because::Idle);
        }
        if !dropped {
            self.keep_lowest(latency);
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
    fn follow(&self, window: &Window, latency: f64, dropped: bool) -> (f64, Because) {
        let limit = self.limit;
        let lg = limit.log10().floor().max(1.0);
        let queue = (limit * (1.0 - self.noload / latency)).ceil();
        let (mut alpha, mut beta) = (self.alpha * lg, self.beta * lg);
        if !self.faithful {
            (alpha, beta) = (alpha.max(limit / 8.0), beta.max(limit / 4.0));
        }
        let (aim, because) = if dropped {
            (self.lowered(limit / 10.0, lg), Because::Drops)
        } else if !used(window, limit) {
            return (limit, Because::Idle);
        } else if queue <= lg {
            (limit + beta, Because::Growth)
        } else if queue < alpha {
            (limit + lg, Because::Growth)
        } else if queue > beta {
            (self.lowered(queue - alpha, lg), Because::Latency)
        } else {
            return (limit, Because::Steady);
        };
        let aim = self.bounds.clamp(aim);
        (
            limit * (1.0 - self.smoothing) + aim * self.smoothing,
            because,
        )
    }

    /// The limit, lowered: by `lg` in the faithful form, by `excess` in the mended.
    fn lowered(&self, excess: f64, lg: f64) -> f64 {
        match self.backoff {
            Some(share) => self.limit * share,
            None if self.faithful => self.limit - lg,
            None => self.limit - excess.min(self.limit / 2.0).max(lg),
        }
    }

    /// The limit to hold instead, while there is a dip.
    fn dip(&mut self, window: &Window, latency: f64) -> Option<f64> {
        if self.faithful || many_dropped(window) || window.answered == 0 {
            return None;
        }
        match self.dips.turn() {
            Turn::Normal => None,
            Turn::Due if !used(window, self.limit) => {
                // Half empty as it is: this is the service without a queue.
                self.noload = latency;
                self.dips.rest();
                None
            }
            Turn::Due => Some(self.dips.begin(self.limit, self.noload, latency)),
            Turn::Hold(low) => Some(low),
            Turn::Measured => {
                self.noload = latency;
                Some(self.limit)
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
        self.bounds.initial
    }

    fn window(&self) -> WindowSize {
        if self.faithful {
            return self.size;
        }
        stretched(self.size, self.latency)
    }

    fn update(&mut self, window: &Window) -> Change {
        self.latency = window.latency;
        let latency = (window.latency.as_nanos() as f64).max(1.0);
        if let Some(low) = self.dip(window, latency) {
            return change(self.bounds.clamp(low), Because::Probe);
        }
        let (next, because) = match self.faithful {
            // Without an answer there is no latency, but there may be drops.
            true if window.answered == 0 && window.dropped == 0 => (self.limit, Because::Idle),
            true if window.answered == 0 => self.follow(window, latency, true),
            true => self.faithful_update(window, latency),
            false => self.mended_update(window, latency),
        };
        self.limit = self.bounds.clamp(next);
        change(self.limit, because)
    }
}
