//! The counters of a shard, and their sums over all shards.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Sampler,
    histogram::{self, Histogram, Used},
};
use crate::sync::{AtomicU32, AtomicU64};

/// The counters of one shard. Performance: on cache lines of its own, two because processors fetch
/// them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Lane {
    pub(super) answered: AtomicU64,
    /// Calls that the service answered with an overload status.
    pub(super) overloaded: AtomicU64,
    /// Calls that were cancelled before the response head.
    pub(super) cancelled: AtomicU64,
    /// Sum of the work done for cancelled calls, in 1/[`WORK`] of a call.
    pub(super) cancelled_work: AtomicU64,
    /// Sum of the time for which late calls held their slots, in nanoseconds; see [`Window::late`].
    ///
    /// [`Window::late`]: crate::Window::late
    pub(super) late_nanos: AtomicU64,
    /// Sum of the time from arrival to cancellation, in nanoseconds.
    pub(super) cancelled_nanos: AtomicU64,
    /// Sum of the latencies of sampled calls, in nanoseconds.
    pub(super) nanos: AtomicU64,
    /// Sum of the numbers in flight at the ends of sampled calls.
    pub(super) in_flight: AtomicU64,
    /// The most requests in flight since the last window was closed.
    pub(super) most: AtomicU32,
    /// The number in flight as last computed, and in the lower half after how many calls it is
    /// computed again.
    pub(super) lately: AtomicU64,
    /// Sum of the no-load latencies of sampled calls whose route has a baseline, in nanoseconds,
    /// and the number of such calls.
    pub(super) route_nanos: AtomicU64,
    pub(super) known: AtomicU64,
    /// The latencies of sampled calls, and so also their number.
    pub(super) latencies: Histogram,
}

/// The unit of cancelled work: 1/1024 of a call.
pub(super) const WORK: u64 = 1024;

/// Sums over all shards.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) answered: u64,
    pub(super) overloaded: u64,
    pub(super) cancelled: u64,
    pub(super) cancelled_work: u64,
    pub(super) late_nanos: u64,
    pub(super) cancelled_nanos: u64,
    pub(super) nanos: u64,
    pub(super) in_flight: u64,
    pub(super) route_nanos: u64,
    pub(super) known: u64,
    pub(super) without_slot: u64,
    pub(super) rejected: u64,
}

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

impl Totals {
    /// Returns the mean no-load latency of the routes of the calls sampled since `before`, if most
    /// of them have a baseline.
    pub(super) fn route_latency(&self, before: &Self, looked_at: u64) -> Option<Duration> {
        let known = self.known.wrapping_sub(before.known);
        let sum = self.route_nanos.wrapping_sub(before.route_nanos);
        (known > 0 && 2 * known >= looked_at).then(|| Duration::from_nanos(sum / known))
    }
}
