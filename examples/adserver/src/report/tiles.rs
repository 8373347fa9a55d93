//! What is above the curves: a notice about the run, and its highest load in four numbers.

use std::fmt::Write;

use super::escape;
use crate::{
    figures::{Figures, PhaseFigures, Run, Server},
    settings::LAG_BOUND,
};

/// Writes what limits the meaning of the figures: a short run, and void phases.
pub(super) fn notice(page: &mut String, figures: &Figures) {
    let mut notes = Vec::new();
    if figures.is_short() {
        notes.push(format!(
            "<b>Short run:</b> a phase has {} s instead of {} s, so the first second of each phase has a larger share \
             of its figures, and p99.9 is the latency of single requests.",
            figures.seconds, figures.usual_seconds
        ));
    }
    let void = figures.phases.iter().flat_map(|phase| {
        let void = phase.runs().into_iter().filter(|(_, run)| run.is_void());
        void.map(|(server, _)| format!("{} ({})", escape(&phase.name), server.name()))
    });
    let void: Vec<String> = void.collect();
    if !void.is_empty() {
        notes.push(format!(
            "<b>Void:</b> {}. The generator sent a request more than {} ms late: the machine was busy, run it again.",
            void.join(", "),
            LAG_BOUND.as_millis()
        ));
    }
    for note in notes {
        _ = writeln!(page, "<p class=notice>{note}</p>");
    }
}

/// A number with its unit, as HTML.
type Value<'a> = &'a dyn Fn(&Run) -> String;

/// Writes the phase with the highest load in four numbers.
pub(super) fn tiles(page: &mut String, figures: &Figures) {
    let offered = |phase: &&PhaseFigures| phase.plimsoll.total.offered_rps();
    let Some(phase) = figures
        .phases
        .iter()
        .max_by(|a, b| offered(a).total_cmp(&offered(b)))
    else {
        return;
    };
    let share = |run: &Run| unit(run.goodput(figures.capacity) * 100.0, "%");
    let p99 = |run: &Run| {
        if run.total.answered == 0 {
            "none answered".to_owned()
        } else {
            unit(run.total.p99_ms, "ms")
        }
    };
    let late = |run: &Run| {
        let total = &run.total;
        let late = (total.late + total.failed + total.unsent) as f64;
        unit(late / total.offered.max(1) as f64 * 100.0, "%")
    };
    let peak = |run: &Run| unit(run.peak_mib, "MiB");
    let rows: [(&str, Value<'_>); 4] = [
        ("goodput, of the capacity", &share),
        ("p99 of answered auctions", &p99),
        ("late or failed, of all auctions", &late),
        ("peak memory", &peak),
    ];
    let times = offered(&phase) / figures.capacity;
    _ = write!(
        page,
        "<h2>{}: {times:.1} times the capacity</h2>\n<div class=tiles>",
        escape(&phase.name)
    );
    for (name, value) in rows {
        _ = write!(page, "<div><small>{name}</small>");
        for (server, run) in phase.runs() {
            let (tag, server) = match server {
                Server::Plimsoll => ("b", "plimsoll"),
                Server::Bare => ("em", "bare"),
            };
            _ = write!(
                page,
                "<{tag} class={server}>{}<small> {server}</small></{tag}>",
                value(run)
            );
        }
        page.push_str("</div>");
    }
    page.push_str("</div>\n");
}

/// Formats a number with its unit. A share that would round to 0 keeps a digit.
fn unit(value: f64, unit: &str) -> String {
    let digits = usize::from(value > 0.0 && value < 1.0);
    format!("{value:.digits$}<i> {unit}</i>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    fn figures(seconds: f64, worst_lag_ms: f64) -> Figures {
        let run = Run {
            total: Tally {
                seconds,
                offered: 3_200,
                worst_lag_ms,
                ..Tally::default()
            },
            peak_mib: 9.0,
            seconds: Vec::new(),
        };
        Figures {
            capacity: 320.0,
            title: String::new(),
            seconds,
            usual_seconds: 6.0,
            phases: vec![PhaseFigures {
                name: "10x".to_owned(),
                plimsoll: run.clone(),
                bare: run,
            }],
        }
    }

    fn noticed(seconds: f64, worst_lag_ms: f64) -> String {
        let mut page = String::new();
        notice(&mut page, &figures(seconds, worst_lag_ms));
        page
    }

    #[test]
    fn a_run_of_the_usual_length_has_no_notice() {
        assert_eq!(noticed(6.0, 3.0), "");
    }

    #[test]
    fn a_short_run_and_a_void_phase_are_named() {
        assert!(noticed(2.0, 3.0).contains("Short run:</b> a phase has 2 s instead of 6 s"));
        assert!(noticed(6.0, 51.0).contains("Void:</b> 10x (plimsoll), 10x (bare)."));
    }

    #[test]
    fn a_tile_without_an_answered_auction_has_no_latency() {
        let mut page = String::new();
        tiles(&mut page, &figures(6.0, 3.0));
        assert!(
            page.contains("none answered") && page.contains("9<i> MiB</i>"),
            "{page}"
        );
    }

    #[test]
    fn small_shares_keep_a_digit() {
        assert_eq!(unit(0.0, "%"), "0<i> %</i>");
        assert_eq!(unit(0.3, "%"), "0.3<i> %</i>");
        assert_eq!(unit(101.2, "%"), "101<i> %</i>");
    }
}
