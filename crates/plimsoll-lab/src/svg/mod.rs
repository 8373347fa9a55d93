//! Charts of the results: one per scenario, readable on light and dark pages.

mod canvas;
mod course;
mod curve;
mod palette;
mod strip;

use crate::{scenario::Scenario, score::Row};

/// The chart of a scenario: goodput over load, goodput over time, or the scores of many points.
pub(crate) fn chart(scenario: &Scenario, rows: &[Row]) -> Option<String> {
    let first = rows.first()?;
    let points = rows.iter().map(|row| &row.point);
    let of_one = points.clone().all(|point| *point == first.point);
    Some(
        if !scenario.step.is_empty() && scenario.step.iter().all(|step| step.every.is_none()) {
            course::chart(scenario, rows)
        } else if scenario.load.len() > 4 && scenario.server.len() == 1 && !of_one {
            curve::chart(scenario, rows)
        } else {
            strip::chart(scenario, rows)
        },
    )
}
