//! Scales of a chart: the positions of seconds and values, and the grid.

use std::fmt::Write;

use super::escape;

pub(super) const WIDTH: f64 = 1_040.0;
pub(super) const HEIGHT: f64 = 236.0;
pub(super) const LEFT: f64 = 52.0;
pub(super) const RIGHT: f64 = 8.0;
pub(super) const TOP: f64 = 26.0;
pub(super) const BOTTOM: f64 = 22.0;

/// The axes. Each phase is as wide as its longer run.
pub(super) struct Axis {
    /// Name, first second, seconds.
    pub(super) phases: Vec<(String, f64, f64)>,
    pub(super) seconds: f64,
    pub(super) top: f64,
}

impl Axis {
    pub(super) fn x(&self, second: f64) -> f64 {
        LEFT + second / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value.clamp(0.0, self.top) / self.top * (HEIGHT - TOP - BOTTOM)
    }
}

/// Draws the phases with their names.
pub(super) fn bands(svg: &mut String, axis: &Axis) {
    for (index, (name, first, seconds)) in axis.phases.iter().enumerate() {
        let (left, right) = (axis.x(*first), axis.x(first + seconds));
        if index % 2 == 0 {
            _ = write!(
                svg,
                "<rect class=band x={left:.1} y={TOP} width={:.1} height={:.1} />",
                right - left,
                HEIGHT - TOP - BOTTOM
            );
        }
        _ = write!(
            svg,
            "<text class=phase x={:.1} y={}>{}</text>",
            f64::midpoint(left, right),
            TOP - 9.0,
            escape(name)
        );
    }
}

/// Draws lines and numbers.
pub(super) fn grid(svg: &mut String, axis: &Axis) {
    for step in 0..=4 {
        let value = axis.top * f64::from(step) / 4.0;
        let y = axis.y(value);
        _ = write!(
            svg,
            "<line class=grid x1={LEFT} x2={} y1={y:.1} y2={y:.1} /><text class=tick x={} y={:.1}>{}</text>",
            WIDTH - RIGHT,
            LEFT - 7.0,
            y + 4.0,
            short(value)
        );
    }
    let every = if axis.seconds > 60.0 { 10.0 } else { 5.0 };
    let mut second = 0.0;
    while second <= axis.seconds {
        _ = write!(
            svg,
            "<text class=second x={:.1} y={}>{second} s</text>",
            axis.x(second),
            HEIGHT - 6.0
        );
        second += every;
    }
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
}
