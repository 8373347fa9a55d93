//! Scores of many points: one row per contender, one dot per point, and the worst score as a
//! number.

use super::{
    canvas::{ABOUT, Canvas},
    palette::{Palette, worst},
};
use crate::{scenario::Scenario, score::Row};

const LEFT: f64 = 220.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 72.0;
const STEP: f64 = 24.0;

pub(super) fn chart(scenario: &Scenario, rows: &[Row]) -> String {
    let palette = Palette::of(rows);
    let mut names: Vec<(&str, usize)> = palette.contenders().collect();
    names.sort_by(|a, b| worst(rows, b.0).total_cmp(&worst(rows, a.0)));
    let about: Vec<&str> = std::iter::once(&*scenario.about)
        .chain(palette.about.as_deref())
        .collect();
    let top = TOP + ABOUT * (about.len() - 1) as f64;
    let bottom = top + STEP * names.len() as f64;
    let x = |score: f64| LEFT + score * (RIGHT - LEFT);
    let mut canvas = Canvas::new(820.0, bottom + 44.0, &scenario.name, &about);
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        canvas.line("grid", (x(tick), top - 6.0), (x(tick), bottom));
        canvas.label(
            x(tick),
            bottom + 18.0,
            "small",
            "middle",
            &format!("{tick:.1}"),
        );
    }
    let axis = "score at each point; number: the worst score";
    canvas.label(
        f64::midpoint(LEFT, RIGHT),
        bottom + 36.0,
        "small",
        "middle",
        axis,
    );
    for (index, (name, colour)) in names.iter().enumerate() {
        let y = top + STEP * (index as f64 + 0.5);
        let class = format!("f{colour}");
        canvas.label(LEFT - 14.0, y + 4.0, &class, "end", name);
        for row in rows.iter().filter(|row| row.contender == *name) {
            canvas.dot(&class, x(row.score), y);
        }
        let low = worst(rows, name);
        let mark = format!("c{colour} mark");
        canvas.line(&mark, (x(low), y - 7.0), (x(low), y + 7.0));
        canvas.label(RIGHT + 14.0, y + 4.0, &class, "start", &format!("{low:.3}"));
    }
    canvas.end()
}
