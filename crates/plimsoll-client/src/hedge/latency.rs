//! The latency of recent calls, and its percentile.

use std::time::Duration;

use hdrhistogram::Histogram;
use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use super::buckets::{Buckets, empty};
use crate::sync::{AtomicU64, Mutex, Ordering::Relaxed, lock};

/// How often the percentile is computed, in nanoseconds: every 100 ms, since it copies a histogram.
const REFRESH: u64 = 100_000_000;
/// "Not enough samples yet".
const UNKNOWN: u64 = u64::MAX;

/// The latencies of this period and of the one before.
#[derive(Debug)]
pub(super) struct Latency {
    percentile: f64,
    /// Fewer samples have no percentile.
    least: u64,
    /// The length of a period in nanoseconds.
    period: u64,
    epoch: Epoch,
    current: Buckets,
    samples: AtomicU64,
    before: Mutex<Before>,
    /// When the percentile is computed next, in nanoseconds.
    next: AtomicU64,
    /// In microseconds.
    computed: AtomicU64,
}

#[derive(Debug)]
struct Before {
    /// The number of the current period.
    period: u64,
    latencies: Histogram<u32>,
    samples: u64,
}

impl Latency {
    /// `None` for a configuration that the histogram does not accept: it is constant.
    pub(super) fn new(percentile: f64, period: Duration) -> Option<Self> {
        Some(Self {
            percentile,
            // One sample is expected above the percentile.
            least: (1.0 / (1.0 - percentile)).round().clamp(2.0, 1e6) as u64,
            period: period.as_nanos() as u64,
            epoch: Epoch::new(),
            current: Buckets::new(),
            samples: AtomicU64::new(0),
            before: Mutex::new(Before {
                period: 0,
                latencies: empty()?,
                samples: 0,
            }),
            next: AtomicU64::new(0),
            computed: AtomicU64::new(UNKNOWN),
        })
    }

    /// Counts a call.
    pub(super) fn count(&self, took: Duration, now: Instant) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.current.count(micros);
        self.samples.fetch_add(1, Relaxed);
        let nanos = self.epoch.nanos(now);
        let due = self.next.load(Relaxed);
        let refreshed = nanos.saturating_add(REFRESH);
        // One call computes for all.
        if nanos >= due
            && self
                .next
                .compare_exchange(due, refreshed, Relaxed, Relaxed)
                .is_ok()
        {
            self.refresh(nanos / self.period);
        }
    }

    /// Returns the percentile; `None` while there are too few samples.
    pub(super) fn percentile(&self) -> Option<Duration> {
        let micros = self.computed.load(Relaxed);
        (micros != UNKNOWN).then_some(Duration::from_micros(micros))
    }

    #[cold]
    fn refresh(&self, period: u64) {
        let mut before = lock(&self.before);
        let mut samples = self.samples.load(Relaxed);
        if period > before.period {
            let is_next = period == before.period + 1;
            before.period = period;
            before.latencies.reset();
            self.current.drain_to(&mut before.latencies);
            before.samples = self.samples.swap(0, Relaxed);
            if !is_next {
                before.latencies.reset();
                before.samples = 0;
            }
            samples = 0;
        }
        let computed = (before.samples + samples >= self.least).then(|| {
            let mut all = before.latencies.clone();
            self.current.add_to(&mut all);
            all.value_at_quantile(self.percentile)
        });
        self.computed.store(computed.unwrap_or(UNKNOWN), Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_exact_to_one_percent_and_follows_the_callee() {
        let start = Instant::now();
        let latency = Latency::new(0.95, Duration::from_secs(30)).unwrap();
        let at = |secs: f64| start + Duration::from_secs_f64(secs);
        for n in 0..19_u32 {
            latency.count(Duration::from_millis(10), at(f64::from(n) * 0.2));
            assert_eq!(latency.percentile(), None, "{n} samples");
        }
        // 1 to 1000 ms, evenly.
        for n in 1..=1000_u32 {
            latency.count(
                Duration::from_millis(n.into()),
                at(5.0 + f64::from(n) * 0.02),
            );
        }
        let p95 = latency.percentile().unwrap().as_secs_f64();
        assert!((0.93..=0.98).contains(&p95), "{p95}");
        // A period later the callee is faster; two periods later only that counts.
        for n in 0..600_u32 {
            latency.count(Duration::from_millis(2), at(31.0 + f64::from(n) * 0.11));
        }
        let p95 = latency.percentile().unwrap();
        assert!(p95 <= Duration::from_micros(2100), "{p95:?}");
        // After a long pause nothing is known.
        latency.count(Duration::from_millis(2), at(1000.0));
        assert_eq!(latency.percentile(), None);
    }
}
