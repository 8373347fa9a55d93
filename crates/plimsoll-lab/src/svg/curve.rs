//! Goodput over load, one line per contender.

use super::canvas::{Canvas, apart, colour, contenders};
use crate::{scenario::Scenario, score::Row};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 404.0;
const GAP: f64 = 15.0;

pub(super) fn chart(scenario: &Scenario, rows: &[Row]) -> String {
    let loads = rows.iter().map(|row| row.load);
    let (least, most) = loads.fold((f64::INFINITY, 0.0_f64), |(a, b), load| {
        (a.min(load), b.max(load))
    });
    let x = |load: f64| LEFT + (load / least).ln() / (most / least).ln() * (RIGHT - LEFT);
    let y = |goodput: f64| BOTTOM - goodput / 1.05 * (BOTTOM - TOP);
    let names = contenders(rows);
    let lowest = BOTTOM.max(TOP + GAP * names.len() as f64);
    let mut canvas = Canvas::new(820.0, lowest + 48.0, &scenario.name, &scenario.about);
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
            canvas.label(last, BOTTOM + 18.0, "small", "middle", &format!("{load}x"));
        }
    }
    let axes = "x: load in multiples of capacity; y: goodput over capacity";
    canvas.label(
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 38.0,
        "small",
        "middle",
        axes,
    );
    let mut ends = Vec::new();
    for name in names {
        let own: Vec<&Row> = rows.iter().filter(|row| row.contender == name).collect();
        let class = format!(
            "c{}{}",
            colour(name),
            if name == "adaptive" { " own" } else { "" }
        );
        canvas.curve(
            &class,
            own.iter()
                .map(|row| (x(row.load), y(row.goodput.min(1.05)))),
        );
        let end = own.last().map_or(0.0, |row| row.goodput.min(1.05));
        ends.push((y(end) + 4.0, name.to_owned()));
    }
    for (at, name) in apart(ends, GAP, lowest + 4.0) {
        let class = format!("f{}", colour(&name));
        canvas.label(RIGHT + 10.0, at, &class, "start", &name);
    }
    canvas.end()
}
