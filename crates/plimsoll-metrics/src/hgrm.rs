//! Percentiles as text, in the format of `HdrHistogram`'s tools.

use std::fmt;

use hdrhistogram::Histogram;

use crate::Latencies;

/// Nanoseconds in the unit of the text, a millisecond.
const MILLI: f64 = 1e6;
/// Steps in each half of the remaining percentiles, as the tools have it.
const TICKS: u32 = 5;

impl Latencies {
    /// The percentiles as text in the format `.hgrm`, in milliseconds: for the plotters of
    /// `HdrHistogram`. The columns are those of `outputPercentileDistribution` in its Java version,
    /// with five steps in each half of the remaining distance to 100 %.
    ///
    /// ```
    /// let latencies = plimsoll_metrics::Metrics::new().gate("edge").latency();
    /// let text = latencies.hgrm().to_string();
    /// assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    /// ```
    pub fn hgrm(&self) -> impl fmt::Display + '_ {
        Hgrm(self.histogram())
    }
}

struct Hgrm<'a>(&'a Histogram<u64>);

impl fmt::Display for Hgrm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(histogram) = self;
        writeln!(
            f,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        )?;
        let mut total = 0;
        for step in histogram.iter_quantiles(TICKS) {
            total += step.count_since_last_iteration();
            let (value, share) = (
                step.value_iterated_to() as f64 / MILLI,
                step.quantile_iterated_to(),
            );
            write!(f, "{value:12.3} {share:2.12} {total:10}")?;
            if share < 1.0 {
                writeln!(f, " {:14.2}", 1.0 / (1.0 - share))?;
            } else {
                writeln!(f)?;
            }
        }
        writeln!(
            f,
            "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]",
            histogram.mean() / MILLI,
            histogram.stdev() / MILLI
        )?;
        writeln!(
            f,
            "#[Max     = {:12.3}, Total count    = {:12}]",
            histogram.max() as f64 / MILLI,
            histogram.len()
        )?;
        writeln!(
            f,
            "#[Buckets = {:12}, SubBuckets     = {:12}]",
            histogram.buckets(),
            2 * crate::layout::PER_OCTAVE
        )
    }
}
