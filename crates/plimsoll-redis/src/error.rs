//! What can be wrong with a shared limit, before there is one.

use std::time::Duration;

use plimsoll_core::InvalidKeyed;
use plimsoll_rate_limit::{InvalidKeyedRateLimit, InvalidQuota};

use crate::job::Failed;

/// A shared limit that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedisRateLimit {
    /// The quota, as for a local limit.
    #[error(transparent)]
    Quota(#[from] InvalidQuota),
    /// The number of quotas.
    #[error("there are {0} quotas, but there must be 1 to {max}", max = crate::MAX_QUOTAS)]
    Quotas(usize),
    /// The name cannot stand in a key of a cluster.
    #[error("name of a quota is {0:?}, but must be without braces")]
    Name(&'static str),
    /// Two quotas would share a key in Redis.
    #[error("two quotas are both called {0:?}, but must differ")]
    Same(Box<str>),
    /// The period is not a number of microseconds.
    #[error("period is {period:?}, but must be whole microseconds, at least one")]
    Period {
        /// The period.
        period: Duration,
    },
    /// More than one request per microsecond.
    #[error("count is {count} per {period:?}, but must be at most 1 request per microsecond")]
    Rate {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// Lua could not count it exactly.
    #[error(
        "quota is {count} per {period:?}, but its size times its unit in microseconds must be at most 2^52"
    )]
    TooFine {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// The prefix of all keys.
    #[error(
        "prefix is {0:?}, but must be 1 to 64 printable ASCII characters without spaces and braces"
    )]
    Prefix(String),
    /// There is nobody to run the connections.
    #[error("no Tokio runtime here, but the connections are tasks of one")]
    NoRuntime,
    /// How long a decision may take.
    #[error("deadline is {0:?}, but must be 1 ms to 10 s")]
    Deadline(Duration),
    /// The number of connections.
    #[error("connections are {0}, but must be 1 to 64")]
    Connections(usize),
    /// The questions that may wait for one connection.
    #[error("queue is {0}, but must be 1 to 65536 questions")]
    Queue(usize),
    /// The expected number of replicas.
    #[error("replicas are {0}, but must be at least 1")]
    Replicas(u32),
    /// The number of keys with a local limit.
    #[error(transparent)]
    Local(#[from] InvalidKeyedRateLimit),
    /// The number of keys with a lease.
    #[error(transparent)]
    Leases(#[from] InvalidKeyed),
    /// A lease's batch.
    #[error("batch of a lease is {batch}, but must be 1 to {max}, the smallest quota")]
    Batch {
        /// The batch asked for.
        batch: u32,
        /// The smallest quota's size.
        max: u32,
    },
    /// A lease's low-water mark.
    #[error("low-water mark of a lease is {low_water}, but must be at most its batch, {batch}")]
    LowWater {
        /// The mark asked for.
        low_water: u32,
        /// The batch.
        batch: u32,
    },
    /// A lease's lifetime.
    #[error("lifetime of a lease is {0:?}, but must be 1 ms to 1 hour")]
    Lifetime(Duration),
}

/// Redis did not do what a [`RedisHandle`](crate::RedisHandle) asked of it, or did not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("redis: {0}")]
pub struct NoAnswer(pub(crate) Failed);

/// The address of a Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("address of Redis: {0}")]
pub struct InvalidServer(pub(crate) redis::RedisError);
