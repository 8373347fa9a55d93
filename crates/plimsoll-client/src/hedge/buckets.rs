//! Counts of latencies in atomics, in the layout of an `hdrhistogram` with two significant digits.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hdrhistogram::Histogram;

/// Buckets in each power of two, as a power of two: what two significant digits need. A percentile
/// is exact to 0.8 %.
const HALF_BITS: u32 = 7;
/// The highest latency, as a power of two of a microsecond: 18 minutes. Longer ones count as that.
const HIGHEST_BITS: u32 = 30;
const HIGHEST: u64 = (1 << HIGHEST_BITS) - 1;
/// 3,072 buckets, 12 KiB.
const BUCKETS: usize = ((HIGHEST_BITS - HALF_BITS + 1) << HALF_BITS) as usize;

/// The bucket of a number of microseconds.
const fn bucket(micros: u64) -> usize {
    let shift =
        (u64::BITS - HALF_BITS - 1).saturating_sub((micros | 1 << HALF_BITS).leading_zeros());
    ((shift << HALF_BITS) as usize) + (micros >> shift) as usize
}

/// The lowest number of microseconds in a bucket.
const fn lowest(bucket: usize) -> u64 {
    let shift = (bucket as u64 >> HALF_BITS).saturating_sub(1);
    (bucket as u64 - (shift << HALF_BITS)) << shift
}

/// A histogram without latencies. `None` for bounds that `hdrhistogram` does not accept: they are
/// constant.
pub(super) fn empty() -> Option<Histogram<u32>> {
    Histogram::new_with_bounds(1, HIGHEST, 2).ok()
}

/// The latencies of a period, which many threads count.
#[derive(Debug)]
pub(super) struct Buckets(Box<[AtomicU32]>);

impl Buckets {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn count(&self, micros: u64) {
        if let Some(count) = self.0.get(bucket(micros.min(HIGHEST))) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Adds the counts to a histogram.
    pub(super) fn add_to(&self, histogram: &mut Histogram<u32>) {
        add(self.0.iter().map(|count| count.load(Relaxed)), histogram);
    }

    /// Moves the counts to a histogram.
    pub(super) fn drain_to(&self, histogram: &mut Histogram<u32>) {
        add(self.0.iter().map(|count| count.swap(0, Relaxed)), histogram);
    }
}

fn add(counts: impl Iterator<Item = u32>, histogram: &mut Histogram<u32>) {
    for (at, count) in counts.enumerate() {
        if count > 0 {
            histogram.saturating_record_n(lowest(at), count);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_are_those_of_hdrhistogram(
            all in prop::collection::vec((0u32..40, any::<u64>()).prop_map(|(bits, any)| any % (1 << bits)), 0..100),
        ) {
            let (buckets, mut exact) = (Buckets::new(), empty().unwrap());
            for micros in all {
                prop_assert_eq!(lowest(bucket(micros)), exact.lowest_equivalent(micros));
                buckets.count(micros);
                exact.saturating_record(exact.lowest_equivalent(micros.min(HIGHEST)));
            }
            let (mut read, mut drained) = (empty().unwrap(), empty().unwrap());
            buckets.add_to(&mut read);
            buckets.drain_to(&mut drained);
            prop_assert!(read == exact && drained == exact);
            buckets.drain_to(&mut drained);
            prop_assert!(drained == exact, "a drained bucket is empty");
        }
    }
}
