//! Quotas, as a response states them.

use std::time::Duration;

/// What is left of a quota: a member of `RateLimit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaLeft {
    /// The name of the policy.
    pub name: String,
    /// `r`: what may be spent. Not a promise: the server may still reject.
    pub remaining: u64,
    /// `t`: how long `remaining` must last.
    pub reset: Option<Duration>,
    /// `pk`: the server's partition that this is about.
    pub partition: Option<Vec<u8>>,
}

/// A quota: a member of `RateLimit-Policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaPolicy {
    /// The name of the policy.
    pub name: String,
    /// `q`: the quota per window.
    pub limit: u64,
    /// `qu`: the unit of the quota.
    pub unit: QuotaUnit,
    /// `w`: the window.
    pub window: Option<Duration>,
    /// `pk`: the server's partition that this is about.
    pub partition: Option<Vec<u8>>,
}

/// The unit that a quota counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaUnit {
    /// `requests`, or no unit given.
    #[default]
    Requests,
    /// `content-bytes`.
    ContentBytes,
    /// `concurrent-requests`.
    ConcurrentRequests,
    /// Another unit.
    Other(String),
}
