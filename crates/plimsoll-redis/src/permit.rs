//! What an admitted request took, and from where.

use crate::{MAX_QUOTAS, digest::Digest, local::LocalPermit, quotas::Left};

/// What an admitted request took. Plain data.
#[derive(Debug)]
pub struct RedisPermit(pub(crate) Held);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Held {
    /// From Redis.
    Redis(Taken),
    /// From the local limit, while Redis was away.
    Local(LocalPermit),
    /// No key, no cost, or failed open.
    Nothing,
}

/// Tokens that Redis granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) digest: Digest,
    pub(crate) count: u32,
    /// By the clock of Redis.
    pub(crate) at: u64,
    pub(crate) left: [Left; MAX_QUOTAS],
}
