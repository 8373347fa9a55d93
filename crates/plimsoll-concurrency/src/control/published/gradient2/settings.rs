//! What can be set of Gradient2.

use std::ops::RangeInclusive;

use super::Gradient2;
use crate::control::{
    InvalidAlgorithm, WindowSize,
    error::checked_smoothing,
    published::average::{Average, WARM_UP},
    published::common::Common,
    published::dip::Dips,
};

impl Gradient2 {
    /// The corrected form.
    pub fn new() -> Self {
        Self {
            common: Common::corrected(),
            smoothing: 0.2,
            tolerance: 1.5,
            allowance: 4.0,
            long: Average::over(600),
            dips: Dips::new(),
        }
    }

    /// As published, with the published defaults.
    pub fn as_published() -> Self {
        Self {
            common: Common::as_published(20, 200),
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

    /// How far the limit moves towards its aim in each window: 0.2 of the way, by default.
    ///
    /// # Errors
    ///
    /// Unless it is more than 0 and at most 1.
    pub fn smoothing(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        self.smoothing = checked_smoothing(share)?;
        Ok(self)
    }

    /// How often its long average latency may be before the limit shrinks: 1.5 times, by default.
    ///
    /// # Errors
    ///
    /// When it is less than 1 or more than 100.
    pub fn tolerance(mut self, times: f64) -> Result<Self, InvalidAlgorithm> {
        if !(1.0..=100.0).contains(&times) {
            return Err(InvalidAlgorithm::Tolerance(times));
        }
        self.tolerance = times;
        Ok(self)
    }

    /// Requests that may queue, and by which the limit grows: 4, by default.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^20.
    pub fn queue_allowance(mut self, requests: u32) -> Result<Self, InvalidAlgorithm> {
        if requests == 0 || requests > 1 << 20 {
            return Err(InvalidAlgorithm::QueueAllowance(requests));
        }
        self.allowance = f64::from(requests);
        Ok(self)
    }

    /// Windows that the long average is over: 600, by default.
    ///
    /// # Errors
    ///
    /// When there are fewer than 10 or more than 2^20.
    pub fn long_window(mut self, windows: u32) -> Result<Self, InvalidAlgorithm> {
        if !(WARM_UP..=1 << 20).contains(&windows) {
            return Err(InvalidAlgorithm::LongWindow(windows));
        }
        self.long = Average::over(windows);
        Ok(self)
    }
}
