//! Admitted requests, cumulative over time, as SVG.

use std::{fmt::Write, ops::Range, time::Duration};

use crate::{LIMIT, PERIOD, Row, clients::PHASES};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 600.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 205.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 46.0;
/// The ends of the axes: after the last departure, and above the last request.
const SECONDS: f64 = 318.0;
const REQUESTS: f64 = 660.0;
/// The vertical distance between two labels.
const LABEL: f64 = 19.0;

/// Colours for light and dark pages. A variant of an algorithm has its colour, dashed.
const STYLE: &str = "<style>text{font:14px system-ui,sans-serif;fill:#1f2328}.small{font-size:12px;fill:#59636e}\
    .title{font-weight:600}.page{fill:#fff}.band{fill:#f3f5f7}path{fill:none;stroke-width:2;stroke-linejoin:round}\
    .grid{stroke:#d9dee3;stroke-width:1}.edge{stroke:#8c959f;stroke-dasharray:2 4;stroke-width:1}\
    .limit{stroke:#1f2328;stroke-width:1.2;stroke-dasharray:6 4}.offered{stroke:#8c959f;stroke-width:5}\
    .bucket{stroke:#0072b2}.short{stroke-dasharray:6 3}.fixed{stroke:#cf5a00}.counter{stroke:#b4508c}\
    .log{stroke:#008560}.leaky{stroke:#8f6a00}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9aa4af}.page{fill:#0d1117}.band{fill:#181e26}\
    .grid{stroke:#2f363e}.edge{stroke:#6e7781}.limit{stroke:#f0f6fc}.offered{stroke:#5c6570}.bucket{stroke:#58a6ff}\
    .fixed{stroke:#ff8f4a}.counter{stroke:#e68ac6}.log{stroke:#3fc794}.leaky{stroke:#d8b03a}}</style>";

fn x(seconds: f64) -> f64 {
    LEFT + seconds / SECONDS * (WIDTH - LEFT - RIGHT)
}

fn y(requests: f64) -> f64 {
    HEIGHT - BOTTOM - requests / REQUESTS * (HEIGHT - TOP - BOTTOM)
}

/// The plot. It has its own background, so that it is readable where a page's background does not
/// follow the reader's colour scheme.
pub(crate) fn svg(offered: &[Duration], rows: &[Row]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Requests admitted over time, by algorithm\">{STYLE}\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">Requests admitted since the start, with a limit of {LIMIT} per {} s</text>",
        PERIOD.as_secs()
    );
    phases(&mut svg);
    axes(&mut svg);
    let rate = f64::from(LIMIT) / PERIOD.as_secs_f64();
    let mut ends = vec![
        (offered.len() as f64, "offered", "offered"),
        (rate * SECONDS, "the limit, from the start", "limit"),
    ];
    _ = write!(
        svg,
        "<path class=\"limit\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
        x(0.0),
        y(0.0),
        x(SECONDS),
        y(rate * SECONDS)
    );
    line(&mut svg, "offered", offered);
    for row in rows {
        line(&mut svg, row.class, &row.admitted);
        ends.push((row.admitted.len() as f64, row.name, row.class));
    }
    labels(&mut svg, ends);
    svg.push_str("</svg>\n");
    svg
}

/// The phases of the traffic, above the plot.
fn phases(svg: &mut String) {
    for (name, Range { start, end }, _) in PHASES {
        let (left, right) = (x(start as f64), x(end as f64));
        _ = write!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" class=\"band\"/>\
             <text class=\"small\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{}\">{name}</text>",
            right - left,
            HEIGHT - TOP - BOTTOM,
            f64::midpoint(left, right),
            TOP - 8.0
        );
    }
}

fn axes(svg: &mut String) {
    for requests in (0..=600).step_by(100) {
        let at = y(f64::from(requests));
        _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{}\"/>\
             <text class=\"small\" text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{requests}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
    }
    for edge in 0..=5 {
        let seconds = PERIOD.as_secs() * edge;
        let at = x(seconds as f64);
        _ = write!(
            svg,
            "<path class=\"edge\" d=\"M{at:.1} {TOP}V{}\"/>\
             <text class=\"small\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{}\">{seconds} s</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0
        );
    }
    _ = write!(
        svg,
        "<text class=\"small\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{}\">time (dotted: the edges of windows)</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 10.0
    );
}

/// One step up at each time.
fn line(svg: &mut String, class: &str, moments: &[Duration]) {
    let mut path = format!("M{:.1} {:.1}", x(0.0), y(0.0));
    for (index, at) in moments.iter().enumerate() {
        _ = write!(
            path,
            "H{:.1}V{:.1}",
            x(at.as_secs_f64()),
            y(index as f64 + 1.0)
        );
    }
    _ = write!(
        svg,
        "<path class=\"{class}\" d=\"{path}H{:.1}\"/>",
        x(SECONDS)
    );
}

/// Names at the ends of the lines, highest first, moved down where they would overlap.
fn labels(svg: &mut String, mut ends: Vec<(f64, &str, &str)>) {
    ends.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut next = f64::MIN;
    for (requests, name, class) in ends {
        let end = y(requests);
        let at = end.max(next);
        next = at + LABEL;
        let left = WIDTH - RIGHT;
        _ = write!(
            svg,
            "<path class=\"{class}\" d=\"M{left} {end:.1}L{:.1} {at:.1}h8\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
            left + 14.0,
            left + 26.0,
            at + 5.0
        );
    }
}
