//! Histograms that are read when the registry is scraped.

use crate::InvalidMetric;

/// Bound of buckets: each is a series of its own in Prometheus.
const MAX_BOUNDS: usize = 64;

/// What a [histogram](crate::Metrics::histogram) has counted, as its reading returns it.
///
/// ```
/// use plimsoll_metrics::Distribution;
///
/// // 3 values up to the first bound, 1 up to the second, and none above it.
/// let waits = Distribution { counts: vec![3, 1, 0], sum: 0.52 };
/// assert_eq!(waits.counts.iter().sum::<u64>(), 4);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Distribution {
    /// How many values fell into each bucket, not cumulative: one number for each bound, for the
    /// values up to it and above the bound before, and a last one for the values above all bounds.
    ///
    /// The numbers must never fall.
    pub counts: Vec<u64>,
    /// The sum of all values. It may be an estimate; the help should then say so.
    pub sum: f64,
}

impl Distribution {
    /// The buckets with their bounds, `None` unless there is one count for each and a last one.
    pub(crate) fn buckets(&self, bounds: &[f64]) -> Option<Vec<(f64, u64)>> {
        if self.counts.len() != bounds.len() + 1 {
            return None;
        }
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        Some(bounds.zip(self.counts.iter().copied()).collect())
    }
}

/// Bounds must be finite and ascending.
pub(crate) fn check_bounds(name: &str, bounds: &[f64]) -> Result<(), InvalidMetric> {
    let ascend = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = bounds.iter().all(|bound| bound.is_finite());
    if bounds.is_empty() || bounds.len() > MAX_BOUNDS || !finite || !ascend {
        return Err(InvalidMetric::Bounds {
            name: name.to_owned(),
        });
    }
    Ok(())
}
