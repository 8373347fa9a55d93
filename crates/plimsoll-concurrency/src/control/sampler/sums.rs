//! Sums the counters of all shards.

use std::sync::atomic::Ordering::Relaxed;

use super::{
    Sampler,
    histogram::{self, Histogram, Used},
    totals::Totals,
};

impl Sampler {
    pub(super) fn totals(&self) -> Totals {
        let start = Totals {
            without_slot: self.without_slot.get(),
            ..Totals::default()
        };
        // Rejections are counted in the settings.
        self.lanes.iter().fold(start, |sum, lane| Totals {
            answered: sum.answered.wrapping_add(lane.answered.load(Relaxed)),
            overloaded: sum.overloaded.wrapping_add(lane.overloaded.load(Relaxed)),
            cancelled: sum.cancelled.wrapping_add(lane.cancelled.load(Relaxed)),
            cancelled_work: sum
                .cancelled_work
                .wrapping_add(lane.cancelled_work.load(Relaxed)),
            late_nanos: sum.late_nanos.wrapping_add(lane.late_nanos.load(Relaxed)),
            cancelled_nanos: sum
                .cancelled_nanos
                .wrapping_add(lane.cancelled_nanos.load(Relaxed)),
            nanos: sum.nanos.wrapping_add(lane.nanos.load(Relaxed)),
            in_flight: sum.in_flight.wrapping_add(lane.in_flight.load(Relaxed)),
            route_nanos: sum.route_nanos.wrapping_add(lane.route_nanos.load(Relaxed)),
            known: sum.known.wrapping_add(lane.known.load(Relaxed)),
            ..sum
        })
    }

    /// Returns the most requests in flight since the last call of this function.
    pub(super) fn most_in_flight(&self) -> u32 {
        let most = self.lanes.iter().map(|lane| lane.most.swap(0, Relaxed));
        most.max().unwrap_or(0)
    }

    /// Returns the latencies since the counts in `before`, which are then updated to the current
    /// counts.
    pub(super) fn latencies_since(
        &self,
        before: &mut [u32; histogram::BUCKETS],
    ) -> ([u32; histogram::BUCKETS], Used) {
        let histograms = || self.lanes.iter().map(|lane| &lane.latencies);
        let used = histograms()
            .map(Histogram::used)
            .fold(Used::default(), Used::union);
        let mut since = [0; histogram::BUCKETS];
        for bucket in used.buckets() {
            let counts = histograms().map(|histogram| histogram.get(bucket));
            let count = counts.fold(0, u32::wrapping_add);
            since[bucket] = count.wrapping_sub(before[bucket]);
            before[bucket] = count;
        }
        (since, used)
    }
}
