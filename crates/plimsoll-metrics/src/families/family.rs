//! A metric with its samples.

use std::borrow::Cow;

/// All samples of one metric.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Family {
    /// The name with its unit, such as `plimsoll_latency_seconds`; of a counter without `_total`.
    pub name: Cow<'static, str>,
    /// One line about the metric.
    pub help: Cow<'static, str>,
    /// The type.
    pub kind: FamilyKind,
    /// The unit, in the plural, with which the name ends. `None` for numbers and ratios.
    pub unit: Option<&'static str>,
    /// The samples, each with its own labels.
    pub samples: Vec<Sample>,
}

/// The type of a [`Family`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FamilyKind {
    /// A count that never falls while the process lives.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
    /// Quantiles of a recent time, with the count and the sum of all time.
    Summary,
}

impl FamilyKind {
    /// Returns the name of the type in Prometheus' formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// The labels of a sample, in the order in which they are written.
pub type Labels = Vec<(&'static str, String)>;

/// A value with its labels.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The labels.
    pub labels: Labels,
    /// The value.
    pub value: Value,
}

/// The value of a [`Sample`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a counter whose source is not a whole number, and of a gauge. NaN is unknown.
    Number(f64),
    /// Of a histogram.
    Buckets {
        /// Upper bounds, inclusive, with the number of values above the bound before; the last
        /// bound is infinite.
        buckets: Vec<(f64, u64)>,
        /// The sum of all values.
        sum: f64,
        /// Traces of recent values, at most one for each bucket.
        traces: Vec<Traced>,
    },
    /// Of a summary.
    Quantiles {
        /// Shares with their values; NaN without recent values.
        quantiles: Vec<(f64, f64)>,
        /// The number of all values.
        count: u64,
        /// The sum of all values.
        sum: f64,
    },
}

/// A value of a histogram whose trace is known: an exemplar.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Traced {
    /// The number of its bucket, from 0.
    pub bucket: usize,
    /// The value.
    pub value: f64,
    /// The trace id, as 32 hexadecimal digits.
    pub trace: String,
}

/// A number as Prometheus reads it, with a point in whole numbers: OpenMetrics' canonical form.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        String::from(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        // Digits as far as they are short; an exponent is valid, too, and harder to read.
        let mut text = match value.abs() {
            0.0 | 1e-9..1e15 => value.to_string(),
            _ => format!("{value:?}"),
        };
        if !text.contains(['.', 'e']) {
            text.push_str(".0");
        }
        text
    }
}
