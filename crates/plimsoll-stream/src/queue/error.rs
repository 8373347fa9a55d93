//! Why the queue was not built, or did not take an item.

use std::{fmt, time::Duration};

/// A setting is out of bounds; the message names the setting, the bound and the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQueue {
    /// The queue could hold no item.
    #[error("capacity must be at least 1 item, got 0")]
    Capacity,
    /// The queue could hold no byte.
    #[error("max_bytes must be at least 1 byte, got 0")]
    MaxBytes,
    /// Each item would expire at once.
    #[error("ttl must be longer than 0, got 0")]
    Ttl,
    /// No send would ever wait; [`try_send`](crate::BoundedQueue::try_send) does that.
    #[error("timeout must be longer than 0, got 0")]
    Timeout,
    /// The policy needs a function that was not given at construction.
    #[error("policy {policy} needs `{function}`, which is not set")]
    Missing {
        /// The name of the policy.
        policy: &'static str,
        /// The method of the builder that sets the function.
        function: &'static str,
    },
    /// No item would be measured.
    #[error("measure_waits must be at least 1 (each item), got 0")]
    MeasureWaits,
}

/// The queue did not take charge of an item. Each variant hands the item back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The queue is closed.
    #[error("the queue is closed")]
    Closed(T),
    /// The queue is full and blocks, and the call does not wait.
    #[error("the queue is full")]
    Full(T),
    /// The queue stayed full for the timeout of [`QueuePolicy::Block`](crate::QueuePolicy::Block).
    #[error("the queue was full for {after:?}")]
    Timeout {
        /// The item.
        item: T,
        /// The timeout.
        after: Duration,
    },
    /// The item alone is heavier than the bound in bytes, or than its permit.
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

impl<T> SendError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(item)
            | Self::Full(item)
            | Self::Timeout { item, .. }
            | Self::TooLarge { item, .. } => item,
        }
    }
}

/// Does not need `T: Debug`, and does not print the item.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "Closed(..)",
            Self::Full(_) => "Full(..)",
            Self::Timeout { .. } => "Timeout { .. }",
            Self::TooLarge { .. } => "TooLarge { .. }",
        })
    }
}

/// No room was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The queue is closed.
    #[error("the queue is closed")]
    Closed,
    /// The queue is full, and the call does not wait.
    #[error("the queue is full")]
    Full,
    /// The bound in bytes is below the bytes that were asked for.
    #[error("{bytes} bytes were asked for, at most {max} are allowed")]
    TooLarge {
        /// The bytes that were asked for.
        bytes: usize,
        /// The bound in bytes.
        max: usize,
    },
}
