//! Durations in an HDR histogram.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use hdrhistogram::Histogram;
use plimsoll_core::support::buckets::Counts;

use crate::{
    filled::Filled,
    layout::{BOUNDS, DIGITS, LONGEST, UNIT},
};

/// A snapshot of durations: their count, sum and quantiles.
///
/// Quantiles are accurate to 0.8 %, or to 16 ns below 2 µs. Durations beyond 18 minutes count as 18
/// minutes in quantiles, and in full in [`sum`](Self::sum). Two snapshots of one gate give the
/// durations [between](Self::since) them; snapshots of several gates, or of the replicas of a
/// service, can be [merged](Self::merge).
///
/// It takes 16 bytes for each bucket that is not empty, which copies share, and 30 KiB more from the
/// first call of [`histogram`](Self::histogram) on.
///
/// ```
/// # use std::time::Duration;
/// # use plimsoll_core::{Class, Observe, Outcome};
/// # let metrics = plimsoll_metrics::Metrics::new();
/// # let gate = metrics.gate("edge");
/// let before = gate.latency();
/// # for millis in 1..=100 {
/// #     let outcome = Outcome::new(Class::Success, Duration::from_millis(millis), tokio::time::Instant::now());
/// #     gate.finished("edge", &outcome);
/// # }
/// // … a hundred calls of 1 ms, 2 ms, … 100 ms …
/// let phase = gate.latency().since(&before);
/// assert_eq!(phase.count(), 100);
/// let p99 = phase.quantile(0.99).unwrap();
/// assert!((0.099..0.0998).contains(&p99.as_secs_f64()));
/// ```
#[derive(Default)]
pub struct Latencies {
    nanos: u64,
    count: u64,
    filled: Arc<Filled>,
    /// Where these are the durations since an earlier snapshot: its buckets, and the difference,
    /// made when it is first used. Performance: most readers of a snapshot use no recent durations
    /// (`benches --bin metrics`, a snapshot).
    since: Option<(Arc<Filled>, OnceLock<Filled>)>,
    /// Made when it is first used. Performance: a histogram takes three times as long to fill as
    /// its buckets to read (`benches --bin metrics`, a snapshot).
    histogram: OnceLock<Box<Histogram<u64>>>,
}

impl Latencies {
    /// What several recorders have counted together.
    pub(crate) fn of<'a>(recorders: &(impl Iterator<Item = &'a dyn Counts> + Clone)) -> Self {
        // The sums are read first: a sample between the two reads is then counted without its time,
        // and not the reverse.
        let nanos = recorders.clone().map(Counts::nanos);
        let nanos = nanos.fold(0, u64::wrapping_add);
        Self::new(nanos, Filled::of(recorders))
    }

    /// These durations, with this sum.
    pub(crate) fn new(nanos: u64, filled: Filled) -> Self {
        Self {
            nanos,
            count: filled.count(),
            filled: Arc::new(filled),
            ..Self::default()
        }
    }

    fn filled(&self) -> &Filled {
        match &self.since {
            None => &self.filled,
            Some((earlier, made)) => made.get_or_init(|| self.filled.since(earlier)),
        }
    }

    /// The buckets that are not empty, ascending: the shortest duration of each in nanoseconds, and
    /// its count. The buckets are those of [`histogram`](Self::histogram), which is not made for it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.filled().iter()
    }

    /// The histogram, for its percentiles, its serialization and other readers of `hdrhistogram`.
    /// Its unit is the nanosecond.
    #[allow(
        clippy::missing_panics_doc,
        reason = "the bounds are constant, and the tests of the layout use them"
    )]
    pub fn histogram(&self) -> &Histogram<u64> {
        self.histogram.get_or_init(|| {
            let made = Histogram::new_with_bounds(UNIT, LONGEST, DIGITS);
            let mut histogram = made.expect("the bounds are constant and valid");
            for (start, count) in self.buckets() {
                histogram.saturating_record_n(start, count);
            }
            Box::new(histogram)
        })
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The exact sum.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The exact mean. `None` when there are no durations.
    pub fn mean(&self) -> Option<Duration> {
        self.nanos
            .checked_div(self.count())
            .map(Duration::from_nanos)
    }

    /// The duration that a share `quantile` of them does not exceed (nearest rank), rounded up by
    /// at most 0.8 %, or by at most 15 ns: 0.5 is the median, 0.999 is p99.9, 1.0 the longest.
    ///
    /// `None` when there are no durations, or `quantile` is not within 0 and 1.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        if self.count == 0 || !(0.0..=1.0).contains(&quantile) {
            return None;
        }
        // The first rank for 0, too.
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count);
        self.filled().ranked(rank).map(Duration::from_nanos)
    }

    /// The durations recorded after `earlier` was taken. Counts that are higher in `earlier` give
    /// 0.
    pub fn since(&self, earlier: &Self) -> Self {
        let filled = self.filled().since(earlier.filled());
        Self::new(self.nanos.wrapping_sub(earlier.nanos), filled)
    }

    /// As [`since`](Self::since), for two snapshots of one gate, whose counts never fall.
    pub(crate) fn since_snapshot(&self, earlier: &Self) -> Self {
        Self {
            nanos: self.nanos.wrapping_sub(earlier.nanos),
            count: self.count.saturating_sub(earlier.count),
            filled: Arc::clone(&self.filled),
            since: Some((Arc::clone(&earlier.filled), OnceLock::new())),
            histogram: OnceLock::new(),
        }
    }

    /// Adds the durations of another gate, another replica, or another time. Histograms are added
    /// bucket by bucket, so the quantiles of the result are as accurate as those of its parts.
    pub fn merge(&mut self, other: &Self) {
        let filled = self.filled().merged(other.filled());
        *self = Self::new(self.nanos.wrapping_add(other.nanos), filled);
    }

    /// Prometheus buckets: upper bounds in seconds, and the number of durations between a bound and
    /// the one before.
    pub(crate) fn coarse(&self) -> Vec<(f64, u64)> {
        let mut coarse: Vec<_> = BOUNDS
            .iter()
            .map(|bound| (*bound as f64 / 1e9, 0))
            .collect();
        coarse.push((f64::INFINITY, 0));
        let mut at = 0;
        for (start, count) in self.buckets() {
            // A bucket that contains a bound counts below it, as a duration of exactly the bound
            // must.
            while at < BOUNDS.len() && start > BOUNDS[at] {
                at += 1;
            }
            coarse[at].1 += count;
        }
        coarse
    }
}

impl Clone for Latencies {
    /// Shares the counts; the copy makes a histogram of its own when it is used.
    fn clone(&self) -> Self {
        Self {
            nanos: self.nanos,
            count: self.count,
            filled: Arc::clone(&self.filled),
            since: self.since.clone(),
            histogram: OnceLock::new(),
        }
    }
}

impl PartialEq for Latencies {
    fn eq(&self, other: &Self) -> bool {
        (self.nanos, self.filled()) == (other.nanos, other.filled())
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("sum", &self.sum())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("p99.9", &self.quantile(0.999))
            .finish()
    }
}
