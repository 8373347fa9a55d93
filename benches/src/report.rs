//! The figures as a table and as JSON.

use std::{fs::File, io, path::Path};

use serde::Serialize;

use crate::{callgrind::Cost, cases::Case, wall::Wall};

/// All figures of one case.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The case's name.
    pub case: &'static str,
    /// The cost of a whole call, with making the request and with the inner service.
    pub whole: Cost,
    /// The cost without that of the bare service.
    pub over_bare: Cost,
    /// The cost without making the request: the cost of a rejection, which runs no inner service.
    pub over_unsent: Cost,
    /// The same in nanoseconds, best round.
    pub ns_over_unsent: f64,
    /// Time of a whole call on one thread.
    pub wall: Wall,
    /// Nanoseconds over the bare service on one thread, best round.
    pub ns_over_bare: f64,
    /// Nanoseconds over the bare service on two threads, median round; contention has no best.
    pub two_threads: f64,
    /// The share of two threads' calls that ended as named.
    pub two_threads_right: f64,
}

/// Combines the measurements, all in the order of the cases.
pub fn rows(cases: &[Case], costs: &[Cost], one: &[Wall], two: &[Wall]) -> Vec<Row> {
    let position = |name| cases.iter().position(|case| case.name == name).unwrap_or(0);
    let row = |(index, case): (usize, &Case)| {
        let (bare, unsent) = (position(case.base.bare), position(case.base.unsent));
        Row {
            case: case.name,
            whole: costs[index],
            over_bare: costs[index] - costs[bare],
            over_unsent: costs[index] - costs[unsent],
            ns_over_unsent: one[index].best - one[unsent].best,
            wall: one[index],
            ns_over_bare: one[index].best - one[bare].best,
            two_threads: two[index].median - two[bare].median,
            two_threads_right: two[index].right,
        }
    };
    cases.iter().enumerate().map(row).collect()
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    println!(
        "{:<56}{:>14}{:>9}{:>12}{:>14}{:>14}{:>12}",
        "case", "instructions", "whole", "ns", "whole, median", "2 threads, ns", "allocations"
    );
    println!(
        "{:<56}{:>14}{:>9}{:>12}{:>14}",
        "", "over bare", "call", "over bare", "call, ns"
    );
    for row in rows {
        let bare = !row.case.contains('@');
        let over = |figure: f64, decimals: usize| {
            if bare {
                String::from("-")
            } else {
                format!("{figure:.decimals$}")
            }
        };
        let two = if row.two_threads_right < 1.0 {
            format!("{:.0} % ready", row.two_threads_right * 100.0)
        } else {
            over(row.two_threads, 0)
        };
        println!(
            "{:<56}{:>14}{:>9.0}{:>12}{:>14.1}{:>14}{:>12.2}",
            row.case,
            over(row.over_bare.instructions, 0),
            row.whole.instructions,
            over(row.ns_over_bare, 1),
            row.wall.median,
            two,
            if bare {
                row.whole.allocations
            } else {
                row.over_bare.allocations
            },
        );
        if row.wall.right < 1.0 {
            let wrong = (1.0 - row.wall.right) * 100.0;
            println!("  {wrong:.3} % of these calls did not end as named: ignore the time");
        }
    }
}

/// One entry of the JSON report.
#[derive(Debug, Serialize)]
struct Entry {
    case: &'static str,
    instructions_over_bare: f64,
    ns_over_bare: f64,
    allocations: f64,
}

/// Writes the report for other programs: every case except the baselines.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_json(rows: &[Row], path: &Path) -> io::Result<()> {
    let entries: Vec<_> = rows
        .iter()
        .filter(|row| row.case.contains('@'))
        .map(|row| Entry {
            case: row.case,
            instructions_over_bare: rounded(row.over_bare.instructions),
            ns_over_bare: rounded(row.ns_over_bare),
            allocations: rounded(row.over_bare.allocations),
        })
        .collect();
    serde_json::to_writer_pretty(File::create(path)?, &entries).map_err(io::Error::from)
}

/// Rounded to a hundredth: the rest is noise.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0 + 0.0
}
