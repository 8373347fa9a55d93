//! Bounds of delay objectives.

use std::{ops::RangeInclusive, time::Duration};

use crate::InvalidLoadShed;

const OBJECTIVES: RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_secs(3600);

/// The objective in seconds, if it is in bounds.
pub(super) fn objective(objective: Duration) -> Result<f64, InvalidLoadShed> {
    if OBJECTIVES.contains(&objective) {
        Ok(objective.as_secs_f64())
    } else {
        Err(InvalidLoadShed::Objective(objective))
    }
}
