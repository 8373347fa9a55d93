//! Scales of a chart: the positions of seconds and values, the grid, and the text around the plot.

use std::fmt::Write;

use super::escape;

/// Size of the plot, in units of the SVG. The page stretches it, so text is HTML around the plot.
pub(super) const WIDTH: f64 = 1_000.0;
pub(super) const HEIGHT: f64 = 200.0;

/// Lengths between two labels of the time axis, in seconds.
const STEPS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0,
];
/// The most labels on the time axis: more would overlap on a screen of 400 px.
const LABELS: f64 = 8.0;

/// The axes. Each phase is as wide as its longer run.
pub(super) struct Axis {
    /// Name, first second, seconds.
    pub(super) phases: Vec<(String, f64, f64)>,
    pub(super) seconds: f64,
    pub(super) top: f64,
}

impl Axis {
    pub(super) fn x(&self, second: f64) -> f64 {
        second / self.seconds * WIDTH
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        HEIGHT - value.clamp(0.0, self.top) / self.top * HEIGHT
    }
}

/// Draws a band behind every other phase.
pub(super) fn bands(svg: &mut String, axis: &Axis) {
    for (_, first, seconds) in axis.phases.iter().step_by(2) {
        let (left, right) = (axis.x(*first), axis.x(first + seconds));
        _ = write!(
            svg,
            "<rect class=band x={left:.1} y=0 width={:.1} height={HEIGHT} />",
            right - left
        );
    }
}

/// Draws the lines of the grid.
pub(super) fn grid(svg: &mut String, axis: &Axis) {
    for value in ticks(axis) {
        let y = axis.y(value);
        _ = write!(
            svg,
            "<line class=grid x1=0 x2={WIDTH} y1={y:.1} y2={y:.1} />"
        );
    }
}

/// Writes the names of the phases, which belong above the plot.
pub(super) fn names(html: &mut String, axis: &Axis) {
    html.push_str("<div class=phases>");
    for (name, _, seconds) in &axis.phases {
        _ = write!(
            html,
            "<span style=\"flex-grow:{seconds}\">{}</span>",
            escape(name)
        );
    }
    html.push_str("</div>");
}

/// Writes the numbers at the left and below the plot.
pub(super) fn numbers(html: &mut String, axis: &Axis) {
    for value in ticks(axis) {
        let top = axis.y(value) / HEIGHT * 100.0;
        _ = write!(
            html,
            "<span class=tick style=\"top:{top:.1}%\">{}</span>",
            short(value)
        );
    }
    let step = step(axis.seconds);
    for label in 0..=(axis.seconds / step) as u32 {
        let second = f64::from(label) * step;
        let left = axis.x(second) / WIDTH * 100.0;
        _ = write!(
            html,
            "<span class=second style=\"left:{left:.2}%\">{second} s</span>"
        );
    }
}

fn ticks(axis: &Axis) -> impl Iterator<Item = f64> {
    (0..=4).map(|part| axis.top * f64::from(part) / 4.0)
}

/// Returns the seconds between two labels of the time axis.
fn step(seconds: f64) -> f64 {
    STEPS
        .into_iter()
        .find(|step| seconds / step <= LABELS)
        .unwrap_or(seconds / LABELS)
}

/// Returns the next higher number that divides into four readable parts.
pub(super) fn nice(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf(highest.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    steps
        .into_iter()
        .map(|step| step * magnitude)
        .find(|top| *top >= highest)
        .unwrap_or(10.0 * magnitude)
}

/// Formats with few digits.
pub(super) fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        _ if value >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.2}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_readable_numbers() {
        for (highest, top) in [
            (0.0, 1.0),
            (0.97, 1.0),
            (1.08, 1.2),
            (270.0, 320.0),
            (3_300.0, 4_000.0),
            (99.0, 100.0),
        ] {
            assert!(
                (nice(highest) - top).abs() < 1e-9,
                "{highest}: {}",
                nice(highest)
            );
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.25, 1.0, 1.5, 320.4].map(short),
            ["0", "0.25", "1", "1.5", "320"]
        );
    }

    #[test]
    fn the_time_axis_has_few_labels() {
        let steps = [2.0, 39.0, 75.0, 300.0, 3_600.0, 80_000.0].map(|seconds| short(step(seconds)));
        assert_eq!(steps, ["1", "5", "10", "60", "600", "10000"]);
    }
}
