//! Results as charts: one of each scenario, readable on light and on dark pages.

mod canvas;
mod course;
mod curve;
mod strip;

use crate::{scenario::Scenario, score::Row};

/// The chart that suits a scenario: goodput over load, over time, or the scores of many points side by side.
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

/// The contenders of these rows, ours last so that its line lies on top.
fn contenders(rows: &[Row]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.contender.as_str()) {
            names.push(&row.contender);
        }
    }
    names.sort_by_key(|name| canvas::colour(name) != 4);
    names.sort_by_key(|name| *name == "adaptive");
    names
}
