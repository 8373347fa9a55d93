//! A drawing, and its elements.

use std::fmt::Write as _;

/// Colours for light and dark pages, and the system's fonts. The last colour is of dimmed
/// contenders, see [`super::palette`].
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#59636e}.page{fill:#fff}\
.grid{stroke:#d1d9e0;stroke-width:1}\
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.own{stroke-width:3}\
.c0{stroke:#0969da}.c1{stroke:#1a7f37}.c2{stroke:#9a6700}.c3{stroke:#cf222e}.c4{stroke:#8250df}\
.c5{stroke:#0b7a86}.c6{stroke:#bf3989}.c7{stroke:#7d4e2d}.c8{stroke:#b1bac4;stroke-width:1.2}\
.f0{fill:#0969da}.f1{fill:#1a7f37}.f2{fill:#9a6700}.f3{fill:#cf222e}.f4{fill:#8250df}\
.f5{fill:#0b7a86}.f6{fill:#bf3989}.f7{fill:#7d4e2d}.f8{fill:#656d76}\
.dot{opacity:.45}.mark{stroke-width:2.5}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.page{fill:#0d1117}.grid{stroke:#3d444d}\
.c0{stroke:#4493f8}.c1{stroke:#3fb950}.c2{stroke:#d29922}.c3{stroke:#f85149}.c4{stroke:#ab7df8}\
.c5{stroke:#39c5cf}.c6{stroke:#f778ba}.c7{stroke:#d1a58a}.c8{stroke:#545d68}\
.f0{fill:#4493f8}.f1{fill:#3fb950}.f2{fill:#d29922}.f3{fill:#f85149}.f4{fill:#ab7df8}\
.f5{fill:#39c5cf}.f6{fill:#f778ba}.f7{fill:#d1a58a}.f8{fill:#8b949e}}";

/// The height of a line of small text.
pub(super) const ABOUT: f64 = 15.0;
/// The vertical distance of two names.
pub(super) const GAP: f64 = 15.0;

/// The text of an SVG file.
pub(super) struct Canvas {
    text: String,
}

impl Canvas {
    /// A drawing with a title, and small lines of text below it.
    pub(super) fn new(width: f64, height: f64, title: &str, about: &[&str]) -> Self {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\"><style>{STYLE}</style>\n"
        );
        _ = writeln!(text, "<title>{}</title>", escape(title));
        // Where a page's background does not follow the reader's colour scheme, text stays readable.
        _ = writeln!(
            text,
            "<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>"
        );
        let mut canvas = Self { text };
        canvas.label(16.0, 26.0, "title", "start", title);
        let mut y = 44.0;
        for line in about {
            canvas.label(16.0, y, "small", "start", line);
            y += ABOUT;
        }
        canvas
    }

    pub(super) fn label(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        _ = writeln!(
            self.text,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    pub(super) fn curve(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        _ = writeln!(
            self.text,
            "<polyline class=\"line {class}\" points=\"{points}\"/>"
        );
    }

    pub(super) fn dot(&mut self, class: &str, x: f64, y: f64) {
        _ = writeln!(
            self.text,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
        );
    }

    /// Writes the names of curves to the right of their ends, each connected to its curve. `ends`
    /// are the heights of the ends, with names and colours.
    pub(super) fn names(&mut self, right: f64, ends: Vec<(f64, &str, usize)>, bottom: f64) {
        for (end, at, name, colour) in apart(ends, bottom) {
            self.curve(
                &format!("c{colour}"),
                [(right, end), (right + 12.0, at), (right + 17.0, at)].into_iter(),
            );
            let class = format!("f{colour}");
            self.label(right + 21.0, at + 4.0, &class, "start", name);
        }
    }

    pub(super) fn end(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Moves the names of curves apart, so that none covers another: the height of each end, the height
/// of its name, the name and its colour.
fn apart(ends: Vec<(f64, &str, usize)>, bottom: f64) -> Vec<(f64, f64, &str, usize)> {
    let mut moved: Vec<_> = ends
        .into_iter()
        .map(|(end, name, colour)| (end, end, name, colour))
        .collect();
    moved.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::NEG_INFINITY;
    for (_, at, ..) in &mut moved {
        *at = at.max(least);
        least = *at + GAP;
    }
    let mut most = bottom;
    for (_, at, ..) in moved.iter_mut().rev() {
        *at = at.min(most);
        most = *at - GAP;
    }
    moved
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
