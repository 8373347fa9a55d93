//! What happens to a subscriber that is too far behind.

/// What a [`Subscription`](crate::Subscription) does when it is further behind than its bounds allow.
///
/// Whatever it does, the publisher and the other subscribers are not slowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LagPolicy {
    /// It skips the oldest items, and sees the gap.
    #[default]
    Skip,
    /// It receives the latest item of each key that has changed, in the order of the changes.
    ///
    /// Needs [`HubBuilder::key`](crate::HubBuilder::key). The numbers that are left out are in gaps.
    Coalesce,
    /// The subscription ends with [`Ended::Slow`](crate::Ended::Slow).
    Disconnect,
}

/// The bounds of one subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) policy: LagPolicy,
    /// In items.
    pub(crate) items: u64,
    /// `u64::MAX` for none.
    pub(crate) bytes: u64,
}
