//! The results of the sections: figures for programs, and the bars.

use std::{fs::File, io, path::Path};

pub use benches::contention::median;
use serde_json::{Map, Value, json};

/// The figures of all sections, and the bars for them.
#[derive(Debug, Default)]
pub struct Report {
    figures: Map<String, Value>,
    bars: Vec<Bar>,
}

/// A bar and its results.
#[derive(Debug)]
pub struct Bar {
    pub promise: &'static str,
    pub limit: Limit,
    /// The cases with their figures.
    pub cases: Vec<(String, f64)>,
    /// The same figure of a loop without a limit, if it is not zero: what this machine does to any
    /// program.
    pub floor: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Holds,
    /// The limit is missed, but an empty loop misses it too and is no better.
    Unclear,
    Missed,
}

impl Limit {
    fn allows(self, figure: f64) -> bool {
        match self {
            Self::AtMost(limit) => figure <= limit,
            Self::AtLeast(limit) => figure >= limit,
            Self::Below(limit) => figure < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit}"),
            Self::AtLeast(limit) => format!("at least {limit}"),
            Self::Below(limit) => format!("below {limit}"),
        }
    }

    /// Whether a figure is at least as good as another.
    fn no_worse(self, figure: f64, than: f64) -> bool {
        match self {
            Self::AtMost(_) | Self::Below(_) => figure <= than,
            Self::AtLeast(_) => figure >= than,
        }
    }
}

impl Bar {
    pub fn status(&self, figure: f64) -> Status {
        if self.limit.allows(figure) {
            return Status::Holds;
        }
        match self.floor {
            Some(floor) if !self.limit.allows(floor) && self.limit.no_worse(figure, floor) => {
                Status::Unclear
            }
            _ => Status::Missed,
        }
    }
}

impl Report {
    /// Adds a figure, or several of one kind.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    pub fn bar(&mut self, bar: Bar) {
        self.bars.push(bar);
    }

    /// Prints the result of each bar.
    pub fn print(&self) {
        println!("\n{:<9}{:>10}  promise", "", "figure");
        for bar in &self.bars {
            for (case, figure) in &bar.cases {
                let status = match bar.status(*figure) {
                    Status::Holds => "holds",
                    Status::Unclear => "UNCLEAR",
                    Status::Missed => "MISSED",
                };
                let floor = bar.floor.map_or(String::new(), |floor| {
                    format!(" (an empty loop: {floor:.2})")
                });
                let (promise, limit) = (bar.promise, bar.limit.text());
                println!("{status:<9}{figure:>10.2}  {promise}, {limit}: {case}{floor}");
            }
        }
    }

    /// Writes all results for other programs.
    pub fn write_json(mut self, path: &Path) -> io::Result<()> {
        let bars = self.bars.iter().flat_map(|bar| {
            bar.cases.iter().map(|(case, figure)| {
                json!({
                    "promise": bar.promise,
                    "limit": bar.limit.text(),
                    "case": case,
                    "figure": rounded(*figure),
                    "floor": bar.floor.map(rounded),
                    "status": format!("{:?}", bar.status(*figure)).to_lowercase(),
                })
            })
        });
        let bars = bars.collect::<Vec<_>>();
        self.figures.insert("bars".to_owned(), bars.into());
        serde_json::to_writer_pretty(File::create(path)?, &self.figures).map_err(io::Error::from)
    }
}

/// Rounded to a thousandth: the rest is noise.
pub fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::{Bar, Limit, Status};

    #[test]
    fn a_missed_bar_is_unclear_when_an_empty_loop_misses_it_too() {
        let status = |limit, floor, figure| {
            Bar {
                promise: "",
                limit,
                cases: Vec::new(),
                floor,
            }
            .status(figure)
        };
        let below = Limit::Below(100.0);
        assert_eq!(status(below, Some(500.0), 99.0), Status::Holds);
        assert_eq!(status(below, None, 100.0), Status::Missed);
        assert_eq!(status(below, Some(90.0), 100.0), Status::Missed);
        assert_eq!(status(below, Some(500.0), 400.0), Status::Unclear);
        assert_eq!(status(below, Some(500.0), 600.0), Status::Missed);
        let at_least = Limit::AtLeast(1.0);
        assert_eq!(status(at_least, Some(0.5), 1.0), Status::Holds);
        assert_eq!(status(at_least, Some(0.5), 0.6), Status::Unclear);
        assert_eq!(status(at_least, Some(0.5), 0.4), Status::Missed);
        assert_eq!(status(at_least, Some(1.1), 0.9), Status::Missed);
    }
}
