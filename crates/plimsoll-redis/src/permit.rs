//! The permits: what an admitted request took, and from where.

use crate::{MAX_QUOTAS, digest::Digest, local::LocalPermit, quotas::Left};

/// The tokens that an admitted request took. Plain data.
#[derive(Debug)]
pub struct RedisPermit(pub(crate) Held);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Held {
    /// From Redis.
    Redis(Taken),
    /// From the local limit, while Redis was down.
    Local(LocalPermit),
    /// No key, no cost, or admitted by `OnFailure::Open`.
    Nothing,
}

/// Tokens that Redis granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) digest: Digest,
    pub(crate) count: u32,
    /// The time of the grant, by the clock of Redis in microseconds.
    pub(crate) at: u64,
    pub(crate) left: [Left; MAX_QUOTAS],
}
