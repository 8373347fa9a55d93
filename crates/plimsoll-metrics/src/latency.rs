//! Durations in an HDR histogram.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use histogram::{AtomicHistogram, Config, Histogram, SparseHistogram};

/// 2^7 buckets per power of two: an error below 1/128. 2^40 ns is 18 minutes; 4,352 buckets, 34 KiB.
const CONFIG: Config = match Config::new(7, 40) {
    Ok(config) => config,
    Err(_) => panic!("the histogram's configuration is constant and valid"),
};
const LONGEST: u64 = (1 << 40) - 1;

/// The bounds of `http.server.request.duration` in OpenTelemetry's conventions, in nanoseconds, and three finer ones
/// below: a service behind a gate is often faster than 5 ms.
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

/// Records durations; atomics only.
pub(crate) struct Recorder {
    buckets: AtomicHistogram,
    /// The exact sum, in nanoseconds. It wraps after 584 years of added-up time, which a scraper takes for a restart.
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
        // The sum first: a sample that falls between the two readings is then a sample without time, not time
        // without a sample.
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

/// A snapshot of durations: how many, how long altogether, and which quantiles.
///
/// Quantiles are accurate to 0.8 %; durations beyond 18 minutes count as 18 minutes in them, and in full in
/// [`sum`](Self::sum). Two snapshots of one gate give the durations [between](Self::since) them; snapshots of several
/// gates [add up](Self::merge).
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
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.as_slice().iter().sum()
    }

    /// All of them added up; exact.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// Their mean; exact. `None` when there are none.
    pub fn mean(&self) -> Option<Duration> {
        self.nanos
            .checked_div(self.count())
            .map(Duration::from_nanos)
    }

    /// The duration that the share `quantile` of them does not exceed (nearest rank), rounded up by at most 0.8 %:
    /// 0.5 for the median, 0.999 for p99.9, 1.0 for the longest.
    ///
    /// `None` when there are no durations, or `quantile` is not within 0 and 1.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let bucket = self.buckets.quantile_bucket(quantile).ok().flatten()?;
        Some(Duration::from_nanos(bucket.end()))
    }

    /// The durations recorded after `earlier` was taken. What `earlier` has and `self` has not counts as nothing.
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

    /// Prometheus buckets: upper bounds in seconds, and how many durations lie between one and the one before.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let mut coarse: Vec<_> = BOUNDS
            .iter()
            .map(|bound| (*bound as f64 / 1e9, 0))
            .collect();
        coarse.push((f64::INFINITY, 0));
        let mut at = 0;
        // Most buckets are empty; the sparse form leaves them out before it works out their bounds.
        for bucket in &SparseHistogram::from(&self.buckets) {
            // The bucket that a bound lies in belongs below it: a duration of exactly the bound does.
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
