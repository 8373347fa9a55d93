//! A drawing, and its elements.

use std::fmt::Write as _;

use crate::score::Row;

/// Colours for light and dark pages, and the system's fonts.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#59636e}\
.grid{stroke:#d1d9e0;stroke-width:1}\
.line{fill:none;stroke-width:1.5;stroke-linejoin:round}.own{stroke-width:3}\
.c0{stroke:#0969da}.c1{stroke:#1a7f37}.c2{stroke:#9a6700}.c3{stroke:#cf222e}.c4{stroke:#8c959f}\
.f0{fill:#0969da}.f1{fill:#1a7f37}.f2{fill:#9a6700}.f3{fill:#cf222e}.f4{fill:#818b98}\
.dot{opacity:.45}.mark{stroke-width:2.5}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}\
.c0{stroke:#4493f8}.c1{stroke:#3fb950}.c2{stroke:#d29922}.c3{stroke:#f85149}.c4{stroke:#656c76}\
.f0{fill:#4493f8}.f1{fill:#3fb950}.f2{fill:#d29922}.f3{fill:#f85149}.f4{fill:#8b949e}}";

/// The colour of a contender: Plimsoll's, those tuned by hand, no protection, and all others.
pub(super) fn colour(contender: &str) -> usize {
    match contender {
        "adaptive" => 0,
        "fixed" => 1,
        "tower-tuned" => 2,
        "none" => 3,
        _ => 4,
    }
}

/// The contenders of these rows, Plimsoll's last so that its line is on top.
pub(super) fn contenders(rows: &[Row]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.contender.as_str()) {
            names.push(&row.contender);
        }
    }
    names.sort_by_key(|name| colour(name) != 4);
    names.sort_by_key(|name| *name == "adaptive");
    names
}

/// The text of an SVG file.
pub(super) struct Canvas {
    text: String,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64, title: &str, about: &str) -> Self {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\"><style>{STYLE}</style>\n"
        );
        _ = writeln!(text, "<title>{}</title>", escape(title));
        let mut canvas = Self { text };
        canvas.label(16.0, 26.0, "title", "start", title);
        canvas.label(16.0, 44.0, "small", "start", about);
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

    pub(super) fn end(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Moves labels at the ends of lines apart, so that none covers another: `(y, name)` in, with other
/// `y` out.
pub(super) fn apart(mut labels: Vec<(f64, String)>, gap: f64, bottom: f64) -> Vec<(f64, String)> {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::NEG_INFINITY;
    for (y, _) in &mut labels {
        *y = y.max(least);
        least = *y + gap;
    }
    let mut most = bottom;
    for (y, _) in labels.iter_mut().rev() {
        *y = y.min(most);
        most = *y - gap;
    }
    labels
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
