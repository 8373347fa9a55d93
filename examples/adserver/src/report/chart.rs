//! Curves over time, as inline SVG with text around it: the phases side by side, one point per
//! second.

use std::fmt::Write;

use super::{
    axis::{Axis, HEIGHT, WIDTH, bands, grid, names, nice, numbers, short},
    escape,
};
use crate::figures::PhaseFigures;

/// A line, or one of the stacked areas.
pub(super) struct Series {
    pub(super) name: String,
    /// The class that sets its colour, in `style.css`.
    pub(super) class: &'static str,
    /// A value for each second of each phase. NaN is a gap in the line.
    pub(super) values: Vec<Vec<f64>>,
}

/// A chart.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) series: Vec<Series>,
    /// Stacked areas instead of lines.
    pub(super) stacked: bool,
    /// Value and name of a dashed line. The name is in the legend, where no curve covers it.
    pub(super) mark: Option<(f64, &'a str)>,
}

impl Chart<'_> {
    /// Returns the chart with its heading and legend.
    pub(super) fn figure(&self, phases: &[PhaseFigures]) -> String {
        let axis = self.axis(phases);
        let mut html = format!(
            "<figure><figcaption><b>{}</b> <small>{}</small> {}</figcaption>",
            escape(self.title),
            escape(self.unit),
            self.legend()
        );
        names(&mut html, &axis);
        _ = write!(
            html,
            "<div class=plot><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=none role=img aria-label=\"{}\">",
            escape(self.title)
        );
        bands(&mut html, &axis);
        grid(&mut html, &axis);
        if let Some((value, _)) = self.mark {
            let y = axis.y(value);
            _ = write!(
                html,
                "<line class=mark x1=0 x2={WIDTH} y1={y:.1} y2={y:.1} />"
            );
        }
        if self.stacked {
            self.areas(&mut html, &axis);
        } else {
            self.lines(&mut html, &axis);
        }
        self.tips(&mut html, &axis);
        html.push_str("</svg>");
        numbers(&mut html, &axis);
        html.push_str("</div></figure>\n");
        html
    }

    fn legend(&self) -> String {
        let mut legend = String::new();
        for series in &self.series {
            _ = write!(
                legend,
                "<span><i class={}></i>{}</span>",
                series.class,
                escape(&series.name)
            );
        }
        if let Some((_, name)) = self.mark {
            _ = write!(legend, "<span><i class=dashed></i>{}</span>", escape(name));
        }
        legend
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

    /// Draws a point per second; a line ends with its phase.
    fn lines(&self, svg: &mut String, axis: &Axis) {
        // The first series is drawn last, on top.
        for series in self.series.iter().rev() {
            let mut path = String::new();
            for (values, (_, first, _)) in series.values.iter().zip(&axis.phases) {
                let mut pen_down = false;
                for (second, value) in values.iter().enumerate() {
                    if value.is_finite() {
                        let last = values.get(second + 1).is_none_or(|next| !next.is_finite());
                        let step = if pen_down { 'L' } else { 'M' };
                        let (x, y) = (axis.x(first + second as f64 + 0.5), axis.y(*value));
                        _ = write!(path, "{step}{x:.1} {y:.1}");
                        // A single point is a line without length: its round cap is a dot.
                        if last && !pen_down {
                            let class = series.class;
                            _ = write!(
                                svg,
                                "<path class=\"line point {class}\" d=\"M{x:.1} {y:.1}h0\"/>"
                            );
                        }
                    }
                    pen_down = value.is_finite();
                }
            }
            _ = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", series.class);
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
            _ = write!(svg, "<path class=\"area {}\" d=\"{path}\"/>", series.class);
        }
    }

    /// Adds a tooltip with the values of each second.
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
                    "<rect class=tip x={x:.1} y=0 width={:.1} height={HEIGHT}><title>{}</title></rect>",
                    axis.x(first + second as f64 + 1.0) - x,
                    escape(&tip)
                );
            }
        }
    }
}
