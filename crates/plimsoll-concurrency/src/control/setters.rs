//! The settings of [`Adaptive`], for users.

use std::{ops::RangeInclusive, time::Duration};

use super::{Adaptive, InvalidAlgorithm, error::Bounds};

const LATENCY: RangeInclusive<Duration> = Duration::from_nanos(1)..=Duration::from_secs(3600);

impl Adaptive {
    /// Sets the initial limit and its bounds; 10 in 1 to 2^20 by default.
    ///
    /// Bounds guard what the algorithm cannot measure: memory, a licence, a connection pool.
    ///
    /// # Errors
    ///
    /// When not `1 <= min <= initial <= max <= 2^30`.
    pub fn limits(
        mut self,
        initial: u32,
        within: RangeInclusive<u32>,
    ) -> Result<Self, InvalidAlgorithm> {
        self.settings.bounds = Bounds::new(initial, within)?;
        self.limit = f64::from(initial);
        Ok(self)
    }

    /// Bounds the mean latency: no more requests are admitted than the service answers with this
    /// mean latency, even if it could complete more.
    ///
    /// # Errors
    ///
    /// When it is less than 1 nanosecond or more than 1 hour.
    pub fn objective(mut self, latency: Duration) -> Result<Self, InvalidAlgorithm> {
        if !LATENCY.contains(&latency) {
            return Err(InvalidAlgorithm::Objective(latency));
        }
        self.settings.objective = Some(latency.as_secs_f64());
        Ok(self)
    }

    /// States the mean latency while no call waits for another, which is measured otherwise.
    ///
    /// The limit is then never lowered for a probe. A service that becomes slower than stated is
    /// treated as one in which calls queue.
    ///
    /// # Errors
    ///
    /// When it is less than 1 nanosecond or more than 1 hour.
    pub fn no_load_latency(mut self, latency: Duration) -> Result<Self, InvalidAlgorithm> {
        if !LATENCY.contains(&latency) {
            return Err(InvalidAlgorithm::NoLoadLatency(latency));
        }
        self.model.stated_no_load = Some(latency.as_secs_f64());
        self.model.no_load = latency.as_secs_f64();
        Ok(self)
    }
}
