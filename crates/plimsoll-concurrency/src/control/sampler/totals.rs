//! What is counted in lanes, and its sums over them.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Sampler,
    histogram::{self, Histogram, Used},
};
use crate::sync::{AtomicU32, AtomicU64};

/// On cache lines of its own (two, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Lane {
    pub(super) answered: AtomicU64,
    /// Calls that the service said it was too busy for.
    pub(super) overloaded: AtomicU64,
    /// Calls whose callers left before the head.
    pub(super) cancelled: AtomicU64,
    /// Sum of the work done for cancelled calls, in [`WORK`]ths of a call.
    pub(super) cancelled_work: AtomicU64,
    /// Sum of the time for which late calls held their slots, in nanoseconds: see [`Window::late`].
    ///
    /// [`Window::late`]: crate::Window::late
    pub(super) late_nanos: AtomicU64,
    /// Sum of the time from arrival to cancellation, in nanoseconds.
    pub(super) cancelled_nanos: AtomicU64,
    /// Sum of latencies of those looked at, in nanoseconds.
    pub(super) nanos: AtomicU64,
    /// Sum of the numbers in flight, likewise.
    pub(super) in_flight: AtomicU64,
    /// The most in flight, since a window was closed.
    pub(super) most: AtomicU32,
    /// The number in flight when it was last reckoned up, and in the lower half after how many calls it is again.
    pub(super) lately: AtomicU64,
    /// Sum of what those take at rest whose routes are known, in nanoseconds, and how many they are.
    pub(super) route_nanos: AtomicU64,
    pub(super) known: AtomicU64,
    /// Of those looked at: also how many that were.
    pub(super) latencies: Histogram,
}

/// Parts that the work of one call is counted in.
pub(super) const WORK: u64 = 1024;

/// Sums over the lanes.
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
        // Refusals are counted elsewhere.
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

    /// The most in flight at a time, since this was last asked.
    pub(super) fn most_in_flight(&self) -> u32 {
        let most = self.lanes.iter().map(|lane| lane.most.swap(0, Relaxed));
        most.max().unwrap_or(0)
    }

    /// How often there was which latency since the counts were as they are `before`; and takes what they are now.
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
    /// What those took at rest that were looked at since `before`, on average; if that is known of most.
    pub(super) fn route_latency(&self, before: &Self, looked_at: u64) -> Option<Duration> {
        let known = self.known.wrapping_sub(before.known);
        let sum = self.route_nanos.wrapping_sub(before.route_nanos);
        (known > 0 && 2 * known >= looked_at).then(|| Duration::from_nanos(sum / known))
    }
}
