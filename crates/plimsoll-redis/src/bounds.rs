//! Bounds that settings and their errors share.

/// The most quotas of one limit: each is a key in Redis, and a field in every permit.
pub const MAX_QUOTAS: usize = 4;
