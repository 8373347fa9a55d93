//! The builder of [`Adaptive`].

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::{Adaptive, InvalidLimits, Tuning, bounds::Bounds, settings::Settings};

/// The mean latencies that can be stated: any that a service can have.
const LATENCY: RangeInclusive<Duration> = Duration::from_nanos(1)..=Duration::from_secs(3600);

/// The settings of an [`Adaptive`] limit, checked together by [`build`](Self::build).
///
/// Nothing has to be set.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a builder does nothing until `build`"]
pub struct AdaptiveBuilder {
    settings: Settings,
}

impl Adaptive {
    /// Starts at 10. Nothing has to be set.
    pub fn new() -> Self {
        Self::tuned(&Tuning::DEFAULT)
    }

    /// Returns a builder, for a limit with bounds or a stated latency.
    pub const fn builder() -> AdaptiveBuilder {
        AdaptiveBuilder::new()
    }

    /// With other numbers, for the laboratory.
    #[doc(hidden)]
    pub fn tuned(tuning: &Tuning) -> Self {
        Self::with(Settings::DEFAULT, tuning)
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl AdaptiveBuilder {
    /// The defaults: 10 in 1 to 2^20, and latencies as measured.
    pub const fn new() -> Self {
        Self {
            settings: Settings::DEFAULT,
        }
    }

    /// Sets the initial limit and its bounds, `1 <= min <= initial <= max <= 2^30`; 10 in 1 to 2^20
    /// by default.
    ///
    /// Bounds guard what the algorithm cannot measure: memory, a licence, a connection pool.
    pub fn limits(mut self, initial: u32, within: RangeInclusive<u32>) -> Self {
        self.settings.bounds = Bounds::new(initial, within);
        self
    }

    /// Bounds the mean latency, 1 nanosecond to 1 hour: no more requests are admitted than the
    /// service answers with this mean latency, even if it could complete more.
    pub const fn objective(mut self, latency: Duration) -> Self {
        self.settings.objective = Some(latency);
        self
    }

    /// States the mean latency while no call waits for another, 1 nanosecond to 1 hour. It is
    /// measured when it is not stated.
    ///
    /// The limit is then never lowered for a probe. A service that becomes slower than stated is
    /// treated as one in which calls queue.
    pub const fn no_load_latency(mut self, latency: Duration) -> Self {
        self.settings.no_load_latency = Some(latency);
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<Adaptive, InvalidAdaptive> {
        let invalid = |latency: &Duration| !LATENCY.contains(latency);
        self.settings.bounds.checked()?;
        if let Some(latency) = self.settings.objective.filter(invalid) {
            return Err(InvalidAdaptive::Objective(latency));
        }
        if let Some(latency) = self.settings.no_load_latency.filter(invalid) {
            return Err(InvalidAdaptive::NoLoadLatency(latency));
        }
        Ok(Adaptive::with(self.settings, &Tuning::DEFAULT))
    }
}

impl Default for AdaptiveBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// A setting of an [`Adaptive`] limit is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidAdaptive {
    /// The bounds of the limit are invalid, or the initial limit is outside of them.
    Limits(InvalidLimits),
    /// The latency objective is zero or too long.
    Objective(Duration),
    /// The no-load latency is zero or too long.
    NoLoadLatency(Duration),
}

impl fmt::Display for InvalidAdaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(error) => error.fmt(f),
            Self::Objective(got) => {
                write!(f, "objective must be 1 nanosecond to 1 hour, got {got:?}")
            }
            Self::NoLoadLatency(got) => write!(
                f,
                "no_load_latency must be 1 nanosecond to 1 hour, got {got:?}"
            ),
        }
    }
}

impl std::error::Error for InvalidAdaptive {}

impl From<InvalidLimits> for InvalidAdaptive {
    fn from(error: InvalidLimits) -> Self {
        Self::Limits(error)
    }
}
