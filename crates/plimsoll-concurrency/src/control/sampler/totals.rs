//! The counters of a shard, and sums of them.

use std::time::Duration;

use super::histogram::Histogram;
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

impl Totals {
    /// Returns the mean no-load latency of the routes of the calls sampled since `before`, if most
    /// of them have a baseline.
    pub(super) fn route_latency(&self, before: &Self, looked_at: u64) -> Option<Duration> {
        let known = self.known.wrapping_sub(before.known);
        let sum = self.route_nanos.wrapping_sub(before.route_nanos);
        (known > 0 && 2 * known >= looked_at).then(|| Duration::from_nanos(sum / known))
    }
}
