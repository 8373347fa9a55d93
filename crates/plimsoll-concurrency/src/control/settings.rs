//! What can be set of [`Adaptive`]; nothing has to be.

use std::time::Duration;

use super::bounds::Bounds;

/// Initial limit: a guess that a small service survives. The startup multiplies it by four with each
/// window.
const INITIAL: u32 = 10;
/// Highest limit. A million requests in flight are beyond the memory of most services.
const HIGHEST: u32 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    pub(super) bounds: Bounds,
    /// Mean latency that is not to be exceeded.
    pub(super) objective: Option<Duration>,
    /// Mean latency while no call waits for another.
    pub(super) no_load_latency: Option<Duration>,
}

impl Settings {
    pub(super) const DEFAULT: Self = Self {
        bounds: Bounds {
            initial: INITIAL,
            min: 1,
            max: HIGHEST,
        },
        objective: None,
        no_load_latency: None,
    };

    pub(super) fn objective_secs(&self) -> Option<f64> {
        self.objective.map(|latency| latency.as_secs_f64())
    }
}
