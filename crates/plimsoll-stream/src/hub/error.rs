//! What fails.

/// A setting of a hub is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHub {
    /// The capacity is 0.
    #[error("capacity is 0 items, it must be 1 or more")]
    Capacity,
    /// The bound in bytes is 0.
    #[error("max_bytes is 0, it must be 1 or more")]
    MaxBytes,
    /// The time to live is 0.
    #[error("ttl is 0, it must be longer")]
    Ttl,
    /// No subscriber is allowed.
    #[error("max_subscribers is 0, it must be 1 or more")]
    MaxSubscribers,
    /// No key is kept.
    #[error("max_keys is 0, it must be 1 or more")]
    MaxKeys,
}

/// An item was not published. Each variant hands it back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError<T> {
    /// The hub is closed.
    #[error("the hub is closed")]
    Closed(T),
    /// The item alone is heavier than the hub's bound in bytes.
    #[error("the item weighs {weight} bytes, at most {max} are allowed")]
    TooLarge {
        /// The item.
        item: T,
        /// Its weight in bytes.
        weight: usize,
        /// The most that it may weigh, in bytes.
        max: usize,
    },
}

/// There is no new subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The hub is closed.
    #[error("the hub is closed")]
    Closed,
    /// The hub has as many subscribers as it may have.
    #[error("the hub has {max} subscribers, which is the most that it may have")]
    Full {
        /// The bound.
        max: usize,
    },
    /// The bound of the lag is 0, or above the capacity of the hub.
    #[error("max_lag is {lag} items, it must be 1 to {capacity}, the capacity of the hub")]
    MaxLag {
        /// The value.
        lag: u64,
        /// The capacity of the hub in items.
        capacity: u64,
    },
    /// The bound of the lag in bytes is 0, or above that of the hub.
    #[error("max_lag_bytes is {bytes}, it must be 1 to {max}, the bytes that the hub keeps")]
    MaxLagBytes {
        /// The value.
        bytes: u64,
        /// The bound of the hub in bytes: 0 if it has none.
        max: u64,
    },
    /// The subscriber coalesces, and the hub has no function that returns the key of an item.
    #[error("the policy is Coalesce, and the hub has no key")]
    NoKey,
}

/// Why a subscription has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The hub was closed, and all that was published has been received.
    #[error("the hub is closed")]
    Closed,
    /// The subscriber was too slow, and its policy is [`LagPolicy::Disconnect`](crate::LagPolicy::Disconnect).
    #[error("the subscriber is {lag} items behind, which is more than its bounds allow")]
    Slow {
        /// How many items it was behind.
        lag: u64,
    },
}
