//! Durations in an HDR histogram.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hdrhistogram::Histogram;

/// 2^7 buckets per power of two, for an error below 1/128: what hdrhistogram makes of two
/// significant digits.
const HALF: u32 = 7;
/// Powers of two of the longest duration: 2^40 ns, 18 minutes.
const LONGEST_BITS: u32 = 40;
const LONGEST: u64 = (1 << LONGEST_BITS) - 1;
/// 4,352 buckets, 34 KiB.
const BUCKETS: usize = ((LONGEST_BITS - HALF + 1) << HALF) as usize;

/// The bucket of a number of nanoseconds, in the layout of hdrhistogram.
#[inline]
const fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - HALF - 1).saturating_sub((nanos | 1 << HALF).leading_zeros());
    ((shift << HALF) as usize) + (nanos >> shift) as usize
}

/// The lowest number of nanoseconds in a bucket.
const fn lowest(bucket: usize) -> u64 {
    let octave = bucket as u64 >> HALF;
    let shift = octave.saturating_sub(1);
    ((bucket as u64) - (shift << HALF)) << shift
}

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
    buckets: Box<[AtomicU64]>,
    /// The exact sum, in nanoseconds. It wraps after 584 years of summed time, which a scraper
    /// takes for a restart.
    nanos: AtomicU64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            nanos: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn record(&self, duration: Duration) {
        let nanos = nanos(duration);
        if let Some(count) = self.buckets.get(bucket(nanos.min(LONGEST))) {
            count.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn read(&self) -> Latencies {
        // The sum is read first: a sample between the two reads is then counted without its time,
        // and not the reverse.
        let nanos = self.nanos.load(Relaxed);
        let mut buckets = empty();
        for (at, count) in self.buckets.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                buckets.saturating_record_n(lowest(at), count);
            }
        }
        Latencies { nanos, buckets }
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
#[derive(Clone, PartialEq)]
pub struct Latencies {
    nanos: u64,
    buckets: Histogram<u64>,
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are constant and valid")
}

impl Latencies {
    /// The histogram, for its percentiles, its serialization and other readers of `hdrhistogram`.
    /// Its unit is the nanosecond.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.buckets
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.len()
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
        if self.buckets.is_empty() || !(0.0..=1.0).contains(&quantile) {
            return None;
        }
        Some(Duration::from_nanos(
            self.buckets.value_at_quantile(quantile),
        ))
    }

    /// The durations recorded after `earlier` was taken. Counts that are higher in `earlier` give
    /// 0.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut buckets = empty();
        for recorded in self.buckets.iter_recorded() {
            let value = self.buckets.lowest_equivalent(recorded.value_iterated_to());
            let count = recorded.count_at_value();
            let count = count.saturating_sub(earlier.buckets.count_at(value));
            buckets.saturating_record_n(value, count);
        }
        Self {
            nanos: self.nanos.wrapping_sub(earlier.nanos),
            buckets,
        }
    }

    /// Adds the durations of another gate, or of another time.
    pub fn merge(&mut self, other: &Self) {
        // Cannot fail: both have the same bounds.
        _ = self.buckets.add(&other.buckets);
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
        for recorded in self.buckets.iter_recorded() {
            let start = self.buckets.lowest_equivalent(recorded.value_iterated_to());
            // A bucket that contains a bound counts below it, as a duration of exactly the bound
            // must.
            while at < BOUNDS.len() && start > BOUNDS[at] {
                at += 1;
            }
            coarse[at].1 += recorded.count_at_value();
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
