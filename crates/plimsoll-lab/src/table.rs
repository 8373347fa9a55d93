//! Results as tables, for readers.
#![allow(clippy::print_stdout)]

use crate::{contender::Contender, score::Row};

/// Prints the rows of one scenario.
pub(crate) fn print(about: &str, rows: &[Row]) {
    let Some(first) = rows.first() else {
        return;
    };
    println!("\n## {}\n\n{about}\n", first.scenario);
    let point = width(rows, |row| row.point.len());
    let name = width(rows, |row| title(row).len());
    println!(
        "| {:point$} | {:name$} | goodput | of bare |    p50 ms |    p99 ms | rejected | recover s | score |",
        "point", "contender"
    );
    println!(
        "|:{:-<point$}-|:{:-<name$}-|--------:|--------:|----------:|----------:|---------:|----------:|------:|",
        "", ""
    );
    let mut last = "";
    for row in rows {
        let shown = if row.point == last { "" } else { &row.point };
        last = &row.point;
        println!(
            "| {shown:point$} | {:name$} | {:7.3} | {:>7} | {:>9} | {:>9} | {:8.3} | {:>9} | {:.3} |",
            title(row),
            row.goodput,
            optional(of_bare(row, rows), 3),
            optional(row.p50_ms, 1),
            optional(row.p99_ms, 1),
            row.refused,
            optional(row.recover_s, 1),
            row.score,
        );
    }
}

/// Prints each contender's worst and mean score, and at how many points it is near the best.
pub(crate) fn summary(rows: &[Row], contenders: &[&'static Contender]) {
    println!(
        "\n## Summary\n\nOver all points; `near best`: within 1 % of the best score at its point.\n"
    );
    println!("| contender                 | worst | mean  | near best | worst point |");
    println!("|:--------------------------|------:|------:|----------:|:------------|");
    let best = |row: &Row| {
        let rivals = rows.iter().filter(|other| same_point(row, other));
        rivals.map(|rival| rival.score).fold(0.0, f64::max)
    };
    for contender in contenders {
        let own: Vec<&Row> = rows
            .iter()
            .filter(|row| row.contender == contender.name)
            .collect();
        let Some(worst) = own.iter().min_by(|a, b| a.score.total_cmp(&b.score)) else {
            continue;
        };
        let mean = own.iter().map(|row| row.score).sum::<f64>() / own.len() as f64;
        let near = own
            .iter()
            .filter(|row| row.score >= best(row) - 0.01)
            .count();
        println!(
            "| {:25} | {:.3} | {mean:.3} | {:>9} | {}: {} |",
            contender.name,
            worst.score,
            format!("{near}/{}", own.len()),
            worst.scenario,
            worst.point
        );
    }
}

/// Goodput over that of the bare server, if that was run and did not collapse.
pub(crate) fn of_bare(row: &Row, rows: &[Row]) -> Option<f64> {
    let bare = rows
        .iter()
        .find(|bare| bare.contender == "none" && same_point(row, bare))?;
    (bare.score > 0.5).then(|| row.goodput / bare.goodput)
}

pub(crate) fn same_point(a: &Row, b: &Row) -> bool {
    a.scenario == b.scenario && a.point == b.point
}

fn title(row: &Row) -> String {
    match row.multiple {
        Some(multiple) => format!("{} (x{multiple})", row.contender),
        None => row.contender.clone(),
    }
}

fn width(rows: &[Row], of: impl Fn(&Row) -> usize) -> usize {
    rows.iter().map(of).max().unwrap_or(0).max(9)
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.digits$}"))
}
