//! Figures of a hub.

/// What a hub has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubCounters {
    /// Items that were published.
    pub published: u64,
    /// Items that subscribers have received. A subscription adds its own when it waits, when it
    /// continues with the next 32 items, and at its end.
    pub delivered: u64,
    /// Gaps that subscribers have received.
    pub gaps: u64,
    /// Items in these gaps.
    pub missed: u64,
    /// Subscriptions that ended because they were too slow.
    pub disconnected: u64,
    /// Subscriptions that went on where an earlier one had stopped, with nothing missing.
    pub replay_hits: u64,
    /// Subscriptions that could not, and began with a [`Reset`](crate::Reset).
    pub replay_misses: u64,
}
