//! Histograms of durations as lists of the buckets that are not empty.

use plimsoll_metrics::Latencies;

/// Bits of a bucket within a power of two, as in `plimsoll-metrics`: an error below 1/128.
/// `quantiles_equal_those_of_the_full_histogram` fails when it differs.
const HALF: u32 = 7;
/// The longest duration, in nanoseconds: 18 minutes, as in `plimsoll-metrics`.
const LONGEST: u64 = (1 << 40) - 1;
/// The number of buckets of the full histogram. A longer list is not one of this crate.
pub(crate) const MAX_BUCKETS: usize = 4352;
/// The highest count of a bucket: what a number of JSON holds exactly.
const MAX_COUNT: u64 = 1 << 53;

/// The lowest duration of the bucket that contains `nanos`, and the highest.
fn bounds(nanos: u64) -> (u64, u64) {
    let nanos = nanos.min(LONGEST);
    let shift = (u64::BITS - HALF - 1).saturating_sub((nanos | 1 << HALF).leading_zeros());
    let lowest = nanos >> shift << shift;
    (lowest, lowest + (1 << shift) - 1)
}

/// Durations: the lowest value and the count of each bucket that is not empty, in ascending order,
/// in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sparse {
    buckets: Vec<(u64, u64)>,
    nanos: u64,
}

impl Sparse {
    pub(crate) fn of(latencies: &Latencies) -> Self {
        Self {
            buckets: latencies.buckets().collect(),
            nanos: u64::try_from(latencies.sum().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// From the lists of a peer. `None` unless durations ascend and counts are within bounds.
    pub(crate) fn from_parts(buckets: &[(u64, u64)], nanos: u64) -> Option<Self> {
        let ascend = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let counted = buckets.iter().all(|(_, count)| *count <= MAX_COUNT);
        if buckets.len() > MAX_BUCKETS || !ascend || !counted {
            return None;
        }
        let mut sparse = Self {
            buckets: Vec::with_capacity(buckets.len()),
            nanos,
        };
        for (value, count) in buckets {
            sparse.push(bounds(*value).0, *count);
        }
        Some(sparse)
    }

    pub(crate) fn buckets(&self) -> &[(u64, u64)] {
        &self.buckets
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.nanos
    }

    pub(crate) fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|(_, count)| *count);
        counts.fold(0, u64::saturating_add)
    }

    /// What was recorded after `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut buckets = Vec::new();
        let mut before = earlier.buckets.iter().peekable();
        for (value, count) in &self.buckets {
            while before.next_if(|(of, _)| of < value).is_some() {}
            let known = before.next_if(|(of, _)| of == value);
            let more = count.saturating_sub(known.map_or(0, |(_, count)| *count));
            if more > 0 {
                buckets.push((*value, more));
            }
        }
        Self {
            buckets,
            nanos: self.nanos.saturating_sub(earlier.nanos),
        }
    }

    /// Adds the durations of another time or process.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.buckets.is_empty() {
            return;
        }
        let mine = std::mem::take(&mut self.buckets);
        let (mut a, mut b) = (
            mine.into_iter().peekable(),
            other.buckets.iter().copied().peekable(),
        );
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(left), Some(right)) if left.0 <= right.0 => a.next(),
                (Some(_), None) => a.next(),
                (_, Some(_)) => b.next(),
                (None, None) => break,
            };
            let Some((value, count)) = next else { break };
            self.push(value, count);
        }
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    /// The duration that a share `quantile` does not exceed, in seconds. NaN without durations.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let count = self.count();
        if count == 0 {
            return f64::NAN;
        }
        let rank = ((quantile * count as f64).ceil() as u64).max(1);
        let mut seen = 0_u64;
        for (value, count) in &self.buckets {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return bounds(*value).1 as f64 / 1e9;
            }
        }
        f64::NAN
    }

    /// Counts by half powers of two, for a chart. Bar `2 n` begins at 2^n nanoseconds, bar `2 n + 1`
    /// at 1.5 times that.
    pub(crate) fn coarse(&self) -> Vec<(u32, u64)> {
        let mut coarse: Vec<(u32, u64)> = Vec::new();
        for (value, count) in &self.buckets {
            let power = (value | 1).ilog2();
            let upper_half = *value >= (3 << power) / 2;
            let bar = 2 * power + u32::from(upper_half && power > 0);
            match coarse.last_mut() {
                Some((last, sum)) if *last == bar => *sum = sum.saturating_add(*count),
                _ => coarse.push((bar, *count)),
            }
        }
        coarse
    }

    /// Appends a bucket that is not below the last one.
    fn push(&mut self, value: u64, count: u64) {
        match self.buckets.last_mut() {
            _ if count == 0 => {}
            Some((last, sum)) if *last == value => *sum = sum.saturating_add(count),
            _ => self.buckets.push((value, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plimsoll_core::{Class, Observe, Outcome};
    use plimsoll_metrics::Metrics;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    fn latencies(nanos: &[u64]) -> Latencies {
        let gate = Metrics::new().gate("g");
        for nanos in nanos {
            let latency = Duration::from_nanos(*nanos);
            gate.finished("g", &Outcome::new(Class::Success, latency, Instant::now()));
        }
        gate.latency()
    }

    proptest! {
        #[test]
        fn quantiles_equal_those_of_the_full_histogram(
            first in proptest::collection::vec(0..LONGEST, 1..40),
            then in proptest::collection::vec(0..1_000_000_000_u64, 1..40),
        ) {
            let (mut all, before) = (first.clone(), latencies(&first));
            all.extend(&then);
            let after = latencies(&all);
            let (sparse, base) = (Sparse::of(&after), Sparse::of(&before));
            for quantile in [0.1, 0.5, 0.9, 0.99, 1.0] {
                let of = |of: &Latencies| of.quantile(quantile).unwrap().as_secs_f64();
                prop_assert!((sparse.quantile(quantile) - of(&after)).abs() < 1e-9);
                let since = sparse.since(&base).quantile(quantile);
                prop_assert!((since - of(&after.since(&before))).abs() < 1e-9);
            }
            let mut merged = base.clone();
            merged.merge(&sparse.since(&base));
            prop_assert_eq!(merged, sparse);
        }

        #[test]
        fn lists_of_a_peer_are_checked_and_never_panic(
            buckets in proptest::collection::vec(any::<(u64, u64)>(), 0..20),
            nanos: u64,
        ) {
            if let Some(mut sparse) = Sparse::from_parts(&buckets, nanos) {
                let copy = sparse.clone();
                sparse.merge(&copy);
                sparse.merge(&copy);
                _ = (sparse.count(), sparse.quantile(0.99), sparse.coarse(), sparse.since(&copy));
            }
        }
    }

    #[test]
    fn descending_or_too_many_buckets_are_rejected() {
        assert_eq!(Sparse::from_parts(&[(2, 1), (1, 1)], 3), None);
        assert_eq!(Sparse::from_parts(&[(1, MAX_COUNT + 1)], 3), None);
        let many: Vec<_> = (0..=MAX_BUCKETS as u64).map(|value| (value, 1)).collect();
        assert_eq!(Sparse::from_parts(&many, 3), None);
    }

    #[test]
    fn a_chart_has_two_bars_for_each_power_of_two() {
        let sparse =
            Sparse::from_parts(&[(0, 1), (1, 1), (1024, 2), (1600, 3), (2048, 4)], 0).unwrap();
        // 1 µs and 1.5 µs in powers of two: 2^10 and 1536 ns.
        assert_eq!(sparse.coarse(), [(0, 2), (20, 2), (21, 3), (22, 4)]);
    }
}
