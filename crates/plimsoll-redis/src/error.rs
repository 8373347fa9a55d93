//! Errors of the settings, and of changes to a key.

use std::time::Duration;

use plimsoll_core::InvalidKeyed;
use plimsoll_rate_limit::{InvalidKeyedRateLimit, InvalidQuota};

use crate::{bounds::MAX_QUOTAS, failed::Failed};

/// A shared limit with a setting out of bounds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedisRateLimit {
    /// The quota is invalid, as for a local limit.
    #[error(transparent)]
    Quota(#[from] InvalidQuota),
    /// No quotas, or too many.
    #[error("number of quotas must be 1 to {max}, got {0}", max = MAX_QUOTAS)]
    Quotas(usize),
    /// The name has braces, which mark the hash tag of a key.
    #[error("name of a quota must be without braces, got {0:?}")]
    Name(&'static str),
    /// Two quotas would share a key in Redis.
    #[error("names of quotas must differ, got {0:?} twice")]
    Same(Box<str>),
    /// The period is not a whole number of microseconds.
    #[error("period must be whole microseconds, at least one, got {period:?}")]
    Period {
        /// The period.
        period: Duration,
    },
    /// More than one request per microsecond.
    #[error("count must be at most 1 request per microsecond, got {count} per {period:?}")]
    Rate {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// The quota is too large for exact numbers in Lua.
    #[error(
        "size of a quota times its unit in microseconds must be at most 2^52, got {count} per {period:?}"
    )]
    TooFine {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// The prefix is empty, too long, or has other characters.
    #[error(
        "prefix must be 1 to 64 printable ASCII characters without spaces and braces, got {0:?}"
    )]
    Prefix(String),
    /// There is no Tokio runtime to run the connections.
    #[error("connections need a Tokio runtime, but the calling thread has no runtime")]
    NoRuntime,
    /// The deadline is out of bounds.
    #[error("deadline must be 1 ms to 10 s, got {0:?}")]
    Deadline(Duration),
    /// The number of connections is out of bounds.
    #[error("connections must be 1 to 64, got {0}")]
    Connections(usize),
    /// The length of the queue is out of bounds.
    #[error("queue must be 1 to 65536 questions, got {0}")]
    Queue(usize),
    /// The number of replicas is 0.
    #[error("replicas must be at least 1, got {0}")]
    Replicas(u32),
    /// The number of keys with a local limit is out of bounds.
    #[error(transparent)]
    Local(#[from] InvalidKeyedRateLimit),
    /// The number of keys with a lease is out of bounds.
    #[error(transparent)]
    Leases(#[from] InvalidKeyed),
    /// The batch of a lease is out of bounds.
    #[error("batch of a lease must be 1 to {max}, the smallest quota, got {batch}")]
    Batch {
        /// The rejected batch.
        batch: u32,
        /// The size of the smallest quota.
        max: u32,
    },
    /// The low-water mark of a lease exceeds its batch.
    #[error("low_water of a lease must be at most its batch, {batch}, got {low_water}")]
    LowWater {
        /// The rejected mark.
        low_water: u32,
        /// The batch.
        batch: u32,
    },
    /// The lifetime of a lease is out of bounds.
    #[error("lifetime of a lease must be 1 ms to 1 hour, got {0:?}")]
    Lifetime(Duration),
}

/// Redis did not confirm a change by a [`RedisHandle`](crate::RedisHandle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("redis: {0}")]
pub struct NoAnswer(pub(crate) Failed);

/// The address of a Redis server is invalid.
#[derive(Debug, thiserror::Error)]
#[error("address of Redis: {0}")]
pub struct InvalidServer(pub(crate) redis::RedisError);
