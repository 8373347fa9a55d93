//! Objectives of delays.

use std::{ops::RangeInclusive, time::Duration};

use crate::InvalidLoadShed;

const OBJECTIVES: RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_secs(3600);

/// Seconds of an objective that can be one.
pub(super) fn objective(objective: Duration) -> Result<f64, InvalidLoadShed> {
    if OBJECTIVES.contains(&objective) {
        Ok(objective.as_secs_f64())
    } else {
        Err(InvalidLoadShed::Objective(objective))
    }
}
