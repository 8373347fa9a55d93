//! Settings of Vegas.

use std::ops::RangeInclusive;

use super::{Probe, Vegas};
use crate::control::{
    InvalidAlgorithm, WindowSize,
    error::{checked_backoff, checked_smoothing},
    published::common::Common,
    published::probing::Probing,
};

impl Vegas {
    /// Creates the corrected form.
    pub fn new() -> Self {
        Self {
            common: Common::corrected(),
            alpha: 3.0,
            beta: 6.0,
            smoothing: 1.0,
            backoff: None,
            probe: Probe::new(fastrand::Rng::new()),
            no_load: 0.0,
            probing: Probing::new(),
        }
    }

    /// Creates the published form, with the published defaults.
    pub fn as_published() -> Self {
        Self {
            common: Common::as_published(1, 1000),
            ..Self::new()
        }
    }

    /// Sets the initial limit and its bounds.
    ///
    /// # Errors
    ///
    /// When not `1 <= lowest <= initial <= highest <= 2^30`.
    pub fn limits(
        mut self,
        initial: u32,
        within: RangeInclusive<u32>,
    ) -> Result<Self, InvalidAlgorithm> {
        self.common.set_limits(initial, within)?;
        Ok(self)
    }

    /// Sets the least time and calls of a window.
    ///
    /// # Errors
    ///
    /// When the time is less than 1 millisecond or more than 1 hour, or the samples are 0 or more
    /// than 2^20.
    pub fn windows(mut self, size: WindowSize) -> Result<Self, InvalidAlgorithm> {
        self.common.set_windows(size)?;
        Ok(self)
    }

    /// Sets the range of queue lengths to keep, in multiples of `lg`; the default is 3 to 6.
    ///
    /// # Errors
    ///
    /// When not `1 <= alpha <= beta <= 1000`.
    pub fn queue_band(mut self, alpha: u32, beta: u32) -> Result<Self, InvalidAlgorithm> {
        if alpha == 0 || alpha > beta || beta > 1000 {
            return Err(InvalidAlgorithm::QueueBand { alpha, beta });
        }
        (self.alpha, self.beta) = (f64::from(alpha), f64::from(beta));
        Ok(self)
    }

    /// Sets how far the limit moves towards its target in each window; the default is 1, all the
    /// way.
    ///
    /// # Errors
    ///
    /// When `share` is not in `(0, 1]`.
    pub fn smoothing(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        self.smoothing = checked_smoothing(share)?;
        Ok(self)
    }

    /// Lowers the limit to this share of itself, in place of the steps of the table.
    ///
    /// # Errors
    ///
    /// When `share` is not in `[0.5, 1)`.
    pub fn backoff(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        self.backoff = Some(checked_backoff(share)?);
        Ok(self)
    }

    /// Sets how often the published form probes; the default is 30.
    ///
    /// It probes every 0.5 to 1 times `windows` windows for each request of the limit. The
    /// corrected form ignores it.
    ///
    /// # Errors
    ///
    /// When `windows` is 0 or more than 2^20.
    pub fn probe_multiplier(mut self, windows: u32) -> Result<Self, InvalidAlgorithm> {
        if windows == 0 || windows > 1 << 20 {
            return Err(InvalidAlgorithm::Probe(windows));
        }
        self.probe.multiplier = f64::from(windows);
        Ok(self)
    }
}
