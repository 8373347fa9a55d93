//! Settings of Gradient2.

use std::ops::RangeInclusive;

use super::Gradient2;
use crate::control::{
    InvalidAlgorithm, WindowSize,
    error::checked_smoothing,
    published::average::{Average, WARM_UP},
    published::common::Common,
    published::probing::Probing,
};

impl Gradient2 {
    /// Creates the corrected form.
    pub fn new() -> Self {
        Self {
            common: Common::corrected(),
            smoothing: 0.2,
            tolerance: 1.5,
            allowance: 4.0,
            long: Average::over(600),
            probing: Probing::new(),
        }
    }

    /// Creates the published form, with the published defaults.
    pub fn as_published() -> Self {
        Self {
            common: Common::as_published(20, 200),
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

    /// Sets how far the limit moves towards its target in each window; the default is 0.2 of the
    /// way.
    ///
    /// # Errors
    ///
    /// When `share` is not in `(0, 1]`.
    pub fn smoothing(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        self.smoothing = checked_smoothing(share)?;
        Ok(self)
    }

    /// Sets how many times its long average latency may be before the limit falls; the default is
    /// 1.5.
    ///
    /// # Errors
    ///
    /// When `times` is less than 1 or more than 100.
    pub fn tolerance(mut self, times: f64) -> Result<Self, InvalidAlgorithm> {
        if !(1.0..=100.0).contains(&times) {
            return Err(InvalidAlgorithm::Tolerance(times));
        }
        self.tolerance = times;
        Ok(self)
    }

    /// Sets how many requests may queue, which is also the step of growth; the default is 4.
    ///
    /// # Errors
    ///
    /// When `requests` is 0 or more than 2^20.
    pub fn queue_allowance(mut self, requests: u32) -> Result<Self, InvalidAlgorithm> {
        if requests == 0 || requests > 1 << 20 {
            return Err(InvalidAlgorithm::QueueAllowance(requests));
        }
        self.allowance = f64::from(requests);
        Ok(self)
    }

    /// Sets how many windows the long average covers; the default is 600.
    ///
    /// # Errors
    ///
    /// When `windows` is less than 10 or more than 2^20.
    pub fn long_window(mut self, windows: u32) -> Result<Self, InvalidAlgorithm> {
        if !(WARM_UP..=1 << 20).contains(&windows) {
            return Err(InvalidAlgorithm::LongWindow(windows));
        }
        self.long = Average::over(windows);
        Ok(self)
    }
}
