//! Goodput over load, one line per contender.

use super::{
    canvas::{ABOUT, Canvas, GAP},
    palette::Palette,
};
use crate::{scenario::Scenario, score::Row};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 64.0;
/// Height of the plot.
const PLOT: f64 = 340.0;

pub(super) fn chart(scenario: &Scenario, rows: &[Row]) -> String {
    let loads = rows.iter().map(|row| row.load);
    let (least, most) = loads.fold((f64::INFINITY, 0.0_f64), |(a, b), load| {
        (a.min(load), b.max(load))
    });
    let x = |load: f64| LEFT + (load / least).ln() / (most / least).ln() * (RIGHT - LEFT);
    let palette = Palette::of(rows);
    let about: Vec<&str> = std::iter::once(&*scenario.about)
        .chain(palette.about.as_deref())
        .collect();
    let top = TOP + ABOUT * (about.len() - 1) as f64;
    let bottom = top + PLOT.max(GAP * palette.contenders().count() as f64);
    let y = |goodput: f64| bottom - goodput / 1.05 * (bottom - top);
    let mut canvas = Canvas::new(820.0, bottom + 48.0, &scenario.name, &about);
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        canvas.line("grid", (LEFT, y(tick)), (RIGHT, y(tick)));
        canvas.label(
            LEFT - 8.0,
            y(tick) + 4.0,
            "small",
            "end",
            &format!("{tick:.1}"),
        );
    }
    let mut last = f64::NEG_INFINITY;
    for load in &scenario.load {
        if x(*load) - last > 34.0 {
            last = x(*load);
            canvas.label(last, bottom + 18.0, "small", "middle", &format!("{load}x"));
        }
    }
    let axes = "x: load in multiples of capacity; y: goodput over capacity";
    canvas.label(
        f64::midpoint(LEFT, RIGHT),
        bottom + 38.0,
        "small",
        "middle",
        axes,
    );
    let mut ends = Vec::new();
    for (name, colour) in palette.contenders() {
        let own: Vec<&Row> = rows.iter().filter(|row| row.contender == name).collect();
        let class = format!("c{colour}{}", if name == "adaptive" { " own" } else { "" });
        canvas.curve(
            &class,
            own.iter()
                .map(|row| (x(row.load), y(row.goodput.min(1.05)))),
        );
        let end = own.last().map_or(0.0, |row| row.goodput.min(1.05));
        ends.push((y(end), name, colour));
    }
    canvas.names(RIGHT, ends, bottom);
    canvas.end()
}
