//! Goodput and limit over time, at the first point of a scenario with changes.

use super::{
    canvas::{ABOUT, Canvas, GAP},
    palette::{Palette, is_reference},
};
use crate::{measure::BIN_SECONDS, scenario::Scenario, score::Row};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 76.0;
/// Height of the goodput's panel.
const PLOT: f64 = 198.0;
/// Points of a line.
const PIECES: usize = 200;

/// A panel: top, bottom, and the value at its top.
struct Panel {
    top: f64,
    bottom: f64,
    full: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.bottom - (value / self.full).min(1.0) * (self.bottom - self.top)
    }
}

pub(super) fn chart(scenario: &Scenario, rows: &[Row]) -> String {
    let point = rows.first().map_or("", |row| row.point.as_str());
    let rows: Vec<Row> = rows
        .iter()
        .filter(|row| row.point == point)
        .cloned()
        .collect();
    let palette = Palette::of(&rows);
    let about: Vec<&str> = std::iter::once(&*scenario.about)
        .chain(palette.about.as_deref())
        .collect();
    let top = TOP + ABOUT * (about.len() - 1) as f64;
    let seconds = rows[0].course.answered.len().saturating_sub(1) as f64 * BIN_SECONDS;
    let lowest = top + PLOT.max(GAP * palette.contenders().count() as f64);
    let goodput = Panel {
        top,
        bottom: lowest,
        full: 1.1,
    };
    let limits = rows.iter().flat_map(|row| &row.course.limits);
    // A peer whose limit grows without bound must not flatten the others.
    let own = rows.iter().filter(|row| is_reference(&row.contender));
    let own = own
        .flat_map(|row| &row.course.limits)
        .copied()
        .fold(0.0, f64::max);
    let limit = Panel {
        top: lowest + 32.0,
        bottom: lowest + 152.0,
        full: if own > 0.0 {
            own * 1.5
        } else {
            limits.copied().fold(1.0, f64::max)
        },
    };
    let title = format!("{}: {point}", scenario.name);
    let mut canvas = Canvas::new(820.0, limit.bottom + 44.0, &title, &about);
    let x = |at: f64| LEFT + at / seconds.max(BIN_SECONDS) * (RIGHT - LEFT);
    for (panel, ticks, title) in [
        (&goodput, vec![0.0, 0.5, 1.0], "goodput over capacity"),
        (
            &limit,
            vec![0.0, (limit.full / 2.0).round(), limit.full.round()],
            "limit",
        ),
    ] {
        for tick in ticks {
            canvas.line("grid", (LEFT, panel.y(tick)), (RIGHT, panel.y(tick)));
            canvas.label(
                LEFT - 8.0,
                panel.y(tick) + 4.0,
                "small",
                "end",
                &format!("{tick}"),
            );
        }
        canvas.label(LEFT, panel.top - 6.0, "small", "start", title);
    }
    for tick in 0..=6 {
        let at = seconds * f64::from(tick) / 6.0;
        canvas.label(
            x(at),
            limit.bottom + 18.0,
            "small",
            "middle",
            &format!("{at:.0} s"),
        );
    }
    let mut ends = Vec::new();
    for (name, colour) in palette.contenders() {
        for row in rows.iter().filter(|row| row.contender == name) {
            let class = format!("c{colour}{}", if name == "adaptive" { " own" } else { "" });
            let answered = thin(&row.course.answered, row.full_bin);
            canvas.curve(
                &class,
                answered
                    .iter()
                    .map(|(at, value)| (x(*at), goodput.y(*value))),
            );
            let limits = thin(&row.course.limits, 1.0);
            if !limits.is_empty() {
                canvas.curve(
                    &class,
                    limits.iter().map(|(at, value)| (x(*at), limit.y(*value))),
                );
            }
            let end = answered.last().map_or(0.0, |(_, value)| *value);
            ends.push((goodput.y(end), name, colour));
        }
    }
    canvas.names(RIGHT, ends, lowest);
    canvas.end()
}

/// Means of groups of bins, at most [`PIECES`] of them, over the value of a full bin, with their
/// times.
fn thin(bins: &[f64], full: f64) -> Vec<(f64, f64)> {
    let whole = &bins[..bins.len().saturating_sub(1)];
    let size = whole.len().div_ceil(PIECES).max(1);
    let mean = |(index, piece): (usize, &[f64])| {
        let at = (index as f64 + 0.5) * size as f64 * BIN_SECONDS;
        (at, piece.iter().sum::<f64>() / piece.len() as f64 / full)
    };
    whole.chunks(size).enumerate().map(mean).collect()
}
