//! What can be told to [`Adaptive`](super::Adaptive). Nothing has to be.

use std::{ops::RangeInclusive, time::Duration};

use super::Adaptive;
use crate::{InvalidAlgorithm, algorithm::bounds::Bounds};

/// The highest limit while nothing is set.
const HIGHEST: u32 = 1 << 20;
const STATED: RangeInclusive<Duration> = Duration::from_nanos(1)..=Duration::from_secs(3600);

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) bounds: Bounds,
    /// Latency that is not to be exceeded, in seconds.
    pub(super) objective: Option<f64>,
    /// Latency without queueing, in seconds.
    pub(super) floor: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bounds: Bounds {
                initial: 10,
                min: 1,
                max: HIGHEST,
            },
            objective: None,
            floor: None,
        }
    }
}

impl Adaptive {
    /// Begins with `initial`, and stays in these bounds. 10 in 1 to 2^20 unless set.
    ///
    /// Bounds are a guard for what the algorithm cannot see: memory, a licence, a pool behind the service.
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

    /// An absolute guard: no more is let in than can be answered with this mean latency, whatever the service could still
    /// get done beyond it.
    ///
    /// # Errors
    ///
    /// When it is less than 1 nanosecond or more than 1 hour.
    pub fn objective(mut self, latency: Duration) -> Result<Self, InvalidAlgorithm> {
        if !STATED.contains(&latency) {
            return Err(InvalidAlgorithm::Objective(latency));
        }
        self.settings.objective = Some(latency.as_secs_f64());
        Ok(self)
    }

    /// States the mean latency while nothing waits, which is measured otherwise. The limit then never dips; and when the
    /// service becomes slower than that it is held for one that queues.
    ///
    /// # Errors
    ///
    /// When it is less than 1 nanosecond or more than 1 hour.
    pub fn no_load_latency(mut self, latency: Duration) -> Result<Self, InvalidAlgorithm> {
        if !STATED.contains(&latency) {
            return Err(InvalidAlgorithm::NoLoadLatency(latency));
        }
        self.settings.floor = Some(latency.as_secs_f64());
        self.estimate.floor = latency.as_secs_f64();
        Ok(self)
    }
}
