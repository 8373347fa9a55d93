//! What can be set of Vegas.

use std::ops::RangeInclusive;

use super::{Probe, Vegas};
use crate::control::{
    InvalidAlgorithm, WindowSize,
    error::{checked_backoff, checked_smoothing},
    published::common::Common,
    published::dip::Dips,
};

impl Vegas {
    /// The corrected form.
    pub fn new() -> Self {
        Self {
            common: Common::corrected(),
            alpha: 3.0,
            beta: 6.0,
            smoothing: 1.0,
            backoff: None,
            probe: Probe::new(fastrand::Rng::new()),
            noload: 0.0,
            dips: Dips::new(),
        }
    }

    /// As published, with the published defaults.
    pub fn as_published() -> Self {
        Self {
            common: Common::as_published(1, 1000),
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
        self.common.set_limits(initial, within)?;
        Ok(self)
    }

    /// How much a window holds, at least.
    ///
    /// # Errors
    ///
    /// When its time is less than 1 millisecond or more than 1 hour, or its samples are 0 or more than 2^20.
    pub fn windows(mut self, size: WindowSize) -> Result<Self, InvalidAlgorithm> {
        self.common.set_windows(size)?;
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
        self.smoothing = checked_smoothing(share)?;
        Ok(self)
    }

    /// Lowers the limit to this share of itself, in place of the steps above.
    ///
    /// # Errors
    ///
    /// When it is less than 0.5, or 1 or more.
    pub fn backoff(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        self.backoff = Some(checked_backoff(share)?);
        Ok(self)
    }

    /// The as_published form probes every 0.5 to 1 times so many windows for each request of the limit: 30, by default. The corrected form
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
