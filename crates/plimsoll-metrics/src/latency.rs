//! Durations in an HDR histogram.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use histogram::{AtomicHistogram, Config, Histogram, SparseHistogram};

/// 2^7 buckets per power of two, for an error below 1/128, up to 2^40 ns (18 minutes): 4,352
/// buckets, 34 KiB.
const CONFIG: Config = match Config::new(7, 40) {
    Ok(config) => config,
    Err(_) => panic!("the histogram's configuration is constant and valid"),
};
const LONGEST: u64 = (1 << 40) - 1;

/// Bucket bounds in nanoseconds: those of `http.server.request.duration` in OpenTelemetry's
/// conventions, and three finer ones below, since a service behind a gate is often faster than
/// 5 ms.
const BOUNDS: [u64; 17] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// Records durations in atomics.
pub(crate) struct Recorder {
    buckets: AtomicHistogram,
    /// The exact sum, in nanoseconds. It wraps after 584 years of summed time, which a scraper
    /// takes for a restart.
    nanos: AtomicU64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            buckets: AtomicHistogram::with_config(&CONFIG),
            nanos: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn record(&self, duration: Duration) {
        let nanos = nanos(duration);
        // Cannot fail: the value is within the histogram's range.
        _ = self.buckets.increment(nanos.min(LONGEST));
        self.nanos.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn read(&self) -> Latencies {
        // The sum is read first: a sample between the two reads is then counted without its time,
        // and not the reverse.
        let nanos = self.nanos.load(Relaxed);
        Latencies {
            nanos,
            buckets: self.buckets.load(),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

#[inline]
fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos().into())
}

/// A snapshot of durations: their count, sum and quantiles.
///
/// Quantiles are accurate to 0.8 %. Durations beyond 18 minutes count as 18 minutes in quantiles,
/// and in full in [`sum`](Self::sum). Two snapshots of one gate give the durations
/// [between](Self::since) them; snapshots of several gates can be [merged](Self::merge).
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
#[derive(Clone, PartialEq, Eq)]
pub struct Latencies {
    nanos: u64,
    buckets: Histogram,
}

impl Latencies {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.as_slice().iter().sum()
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
    /// at most 0.8 %: 0.5 is the median, 0.999 is p99.9, 1.0 the longest.
    ///
    /// `None` when there are no durations, or `quantile` is not within 0 and 1.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let bucket = self.buckets.quantile_bucket(quantile).ok().flatten()?;
        Some(Duration::from_nanos(bucket.end()))
    }

    /// The durations recorded after `earlier` was taken. Counts that are higher in `earlier` give
    /// 0.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut buckets = self.buckets.clone();
        for (now, then) in buckets
            .as_mut_slice()
            .iter_mut()
            .zip(earlier.buckets.as_slice())
        {
            *now = now.saturating_sub(*then);
        }
        Self {
            nanos: self.nanos.wrapping_sub(earlier.nanos),
            buckets,
        }
    }

    /// Adds the durations of another gate, or of another time.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self
            .buckets
            .as_mut_slice()
            .iter_mut()
            .zip(other.buckets.as_slice())
        {
            *sum = sum.saturating_add(*more);
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }

    /// Prometheus buckets: upper bounds in seconds, and the number of durations between a bound and
    /// the one before.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let mut coarse: Vec<_> = BOUNDS
            .iter()
            .map(|bound| (*bound as f64 / 1e9, 0))
            .collect();
        coarse.push((f64::INFINITY, 0));
        let mut at = 0;
        // Performance: most buckets are empty; the sparse form skips them before it computes
        // bounds.
        for bucket in &SparseHistogram::from(&self.buckets) {
            // A bucket that contains a bound counts below it, as a duration of exactly the bound
            // must.
            while at < BOUNDS.len() && bucket.start() > BOUNDS[at] {
                at += 1;
            }
            coarse[at].1 += bucket.count();
        }
        coarse
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
