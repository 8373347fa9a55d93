//! Bounds of delay objectives.

use std::{ops::RangeInclusive, time::Duration};

const OBJECTIVES: RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_secs(3600);

/// The objective in seconds, if it is in bounds.
pub(super) fn objective(objective: Duration) -> Option<f64> {
    OBJECTIVES
        .contains(&objective)
        .then_some(objective.as_secs_f64())
}
