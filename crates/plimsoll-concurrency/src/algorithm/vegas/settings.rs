//! What can be set of Vegas.

use std::{ops::RangeInclusive, time::Duration};

use super::{Probe, Vegas};
use crate::algorithm::{
    InvalidAlgorithm, WindowSize,
    bounds::{Bounds, checked_window},
    dip::Dips,
};

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
}
