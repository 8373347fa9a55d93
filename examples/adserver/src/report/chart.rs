//! Curves over time as inline SVG: the phases side by side, a point a second.

use std::fmt::Write;

use super::escape;
use crate::figures::PhaseFigures;

const WIDTH: f64 = 1_040.0;
const HEIGHT: f64 = 236.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 22.0;

/// A line, or one layer of a stack.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) color: &'static str,
    /// A value for each second of each phase. Not a number: there is none, and the line has a gap.
    pub(super) values: Vec<Vec<f64>>,
}

/// What a chart shows.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) series: Vec<Series>,
    /// Areas on top of each other instead of lines.
    pub(super) stacked: bool,
    /// A dashed line with a name.
    pub(super) mark: Option<(f64, &'a str)>,
}

/// Where the phases are: each is as wide as its longer run.
struct Axis {
    /// Name, first second, seconds.
    phases: Vec<(String, f64, f64)>,
    seconds: f64,
    top: f64,
}

impl Axis {
    fn x(&self, second: f64) -> f64 {
        LEFT + second / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value.clamp(0.0, self.top) / self.top * (HEIGHT - TOP - BOTTOM)
    }
}

impl Chart<'_> {
    /// The chart with its heading and legend.
    pub(super) fn figure(&self, phases: &[PhaseFigures]) -> String {
        let axis = self.axis(phases);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(self.title)
        );
        bands(&mut svg, &axis);
        grid(&mut svg, &axis);
        if let Some((value, name)) = self.mark {
            let y = axis.y(value);
            _ = write!(
                svg,
                "<line class=mark x1={LEFT} x2={} y1={y:.1} y2={y:.1} /><text class=marked x={} y={:.1}>{}</text>",
                WIDTH - RIGHT,
                WIDTH - RIGHT - 4.0,
                y - 4.0,
                escape(name)
            );
        }
        if self.stacked {
            self.areas(&mut svg, &axis);
        } else {
            self.lines(&mut svg, &axis);
        }
        self.tips(&mut svg, &axis);
        svg.push_str("</svg>");
        let legend = self
            .series
            .iter()
            .fold(String::new(), |mut legend, series| {
                _ = write!(
                    legend,
                    "<span><i style=\"background:{}\"></i>{}</span>",
                    series.color,
                    escape(&series.name)
                );
                legend
            });
        format!(
            "<figure><figcaption><b>{}</b> <small>{}</small> {legend}</figcaption>{svg}</figure>\n",
            escape(self.title),
            escape(self.unit)
        )
    }

    fn axis(&self, phases: &[PhaseFigures]) -> Axis {
        let mut seconds = 0.0;
        let phases = phases
            .iter()
            .map(|phase| {
                let longer = phase
                    .plimsoll
                    .seconds
                    .len()
                    .max(phase.bare.seconds.len())
                    .max(1) as f64;
                seconds += longer;
                (phase.name.clone(), seconds - longer, longer)
            })
            .collect();
        let stack = |phase: usize, second: usize| -> f64 {
            self.series
                .iter()
                .filter_map(|s| s.values[phase].get(second))
                .filter(|v| v.is_finite())
                .sum()
        };
        let highest = if self.stacked {
            let all = self.series.iter().flat_map(|s| s.values.iter().enumerate());
            let all = all
                .flat_map(|(phase, values)| (0..values.len()).map(move |second| (phase, second)));
            all.map(|(phase, second)| stack(phase, second))
                .fold(0.0, f64::max)
        } else {
            self.series
                .iter()
                .flat_map(|s| s.values.iter().flatten())
                .copied()
                .fold(0.0, f64::max)
        };
        let top = nice(highest.max(self.mark.map_or(0.0, |mark| mark.0)) * 1.08);
        Axis {
            phases,
            seconds,
            top,
        }
    }

    /// A point at the end of each second; the line does not cross into the next phase.
    fn lines(&self, svg: &mut String, axis: &Axis) {
        // The first series is the one to see: drawn last, on top.
        for series in self.series.iter().rev() {
            let mut path = String::new();
            for (values, (_, first, _)) in series.values.iter().zip(&axis.phases) {
                let mut pen_down = false;
                for (second, value) in values.iter().enumerate() {
                    if value.is_finite() {
                        let last = values.get(second + 1).is_none_or(|next| !next.is_finite());
                        let step = if pen_down { 'L' } else { 'M' };
                        let x = axis.x(first + second as f64 + 0.5);
                        _ = write!(path, "{step}{x:.1} {:.1}", axis.y(*value));
                        if last && !pen_down {
                            let y = axis.y(*value);
                            _ = write!(
                                svg,
                                "<circle fill=\"{}\" cx={x:.1} cy={y:.1} r=3.2 />",
                                series.color
                            );
                        }
                    }
                    pen_down = value.is_finite();
                }
            }
            _ = write!(
                svg,
                "<path class=line stroke=\"{}\" d=\"{path}\"/>",
                series.color
            );
        }
    }

    fn areas(&self, svg: &mut String, axis: &Axis) {
        let mut below: Vec<Vec<f64>> = axis
            .phases
            .iter()
            .map(|(_, _, seconds)| vec![0.0; *seconds as usize])
            .collect();
        for series in &self.series {
            let mut path = String::new();
            for ((values, below), (_, first, _)) in
                series.values.iter().zip(&mut below).zip(&axis.phases)
            {
                for (second, (value, below)) in values.iter().zip(below).enumerate() {
                    let (low, high) = (*below, *below + value.max(0.0));
                    *below = high;
                    if high > low {
                        let (left, right) = (
                            axis.x(first + second as f64),
                            axis.x(first + second as f64 + 1.0),
                        );
                        let (low, high) = (axis.y(low), axis.y(high));
                        _ = write!(path, "M{left:.1} {low:.1}V{high:.1}H{right:.1}V{low:.1}z");
                    }
                }
            }
            _ = write!(svg, "<path fill=\"{}\" d=\"{path}\"/>", series.color);
        }
    }

    /// What a second came to, for whoever points at it.
    fn tips(&self, svg: &mut String, axis: &Axis) {
        for (index, (name, first, seconds)) in axis.phases.iter().enumerate() {
            for second in 0..*seconds as usize {
                let x = axis.x(first + second as f64);
                let mut tip = format!("{name}, second {}", second + 1);
                for series in &self.series {
                    if let Some(value) = series.values[index]
                        .get(second)
                        .filter(|value| value.is_finite())
                    {
                        _ = write!(tip, "\n{}: {}", series.name, short(*value));
                    }
                }
                _ = write!(
                    svg,
                    "<rect class=tip x={x:.1} y={TOP} width={:.1} height={:.1}><title>{}</title></rect>",
                    axis.x(first + second as f64 + 1.0) - x,
                    HEIGHT - TOP - BOTTOM,
                    escape(&tip)
                );
            }
        }
    }
}

fn bands(svg: &mut String, axis: &Axis) {
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

fn grid(svg: &mut String, axis: &Axis) {
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

/// The next number up that divides into four readable parts.
fn nice(highest: f64) -> f64 {
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

/// Few digits.
fn short(value: f64) -> String {
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
