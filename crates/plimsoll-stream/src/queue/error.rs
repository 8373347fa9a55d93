//! Settings of a queue that are out of bounds.

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
