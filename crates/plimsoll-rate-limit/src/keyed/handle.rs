//! What can be seen of a keyed limit from outside.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::time::Instant;

use super::table::Table;
use crate::{RateLimitHandle, cell::Cell, share::Share};

/// Counts and reads a [`KeyedRateLimit`](super::KeyedRateLimit), and changes its quotas. Clones share it.
pub struct KeyedRateLimitHandle<const N: usize = 1>(pub(super) Arc<Table<N>>);

impl<const N: usize> KeyedRateLimitHandle<N> {
    /// The quotas of all keys.
    pub fn limit(&self) -> RateLimitHandle<N> {
        RateLimitHandle::new(Arc::clone(&self.0.settings))
    }

    /// Keys that have a cell.
    pub fn keys(&self) -> u64 {
        self.0.keys.load(Relaxed)
    }

    /// Cells that there can be.
    pub fn capacity(&self) -> u64 {
        self.0.capacity() as u64
    }

    /// Bytes of memory that cells take at the moment; never fewer later.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Cells that were given to another key: empty of debt, or on probation.
    pub fn evicted(&self) -> u64 {
        self.0.evicted.get()
    }

    /// Of these, cells whose quota was not whole: the new key began with what had been taken.
    /// Rises under a flood of keys, or when the capacity is too small.
    pub fn inherited(&self) -> u64 {
        self.0.inherited.get()
    }

    /// Requests of keys that got no cell, since all cells of their two sets were kept for known
    /// keys. They were counted in overflow buckets. Rises when the capacity is too small.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed.get()
    }

    /// Requests without a key.
    pub fn missing(&self) -> u64 {
        self.0.missing.get()
    }

    /// What a key could take at `now`, if it has a cell. `key` must hash as the policy's key does: a
    /// [`LimitKey`](crate::LimitKey), or for closures what they return.
    pub fn available(&self, key: impl Hash, now: Instant) -> Option<u64> {
        let cell = self.0.find(self.0.hash(key))?;
        Some(cell.remaining(Share::FULL, self.0.settings.nanos(now)))
    }

    /// Resets all quotas of a key to full, debts included. `false` when the key has no cell.
    ///
    /// Running requests of this key give nothing back after that.
    ///
    /// ```
    /// use plimsoll_core::{ClientIp, Missing};
    /// use plimsoll_rate_limit::{LimitKey, Quota, RateLimit};
    ///
    /// let limit = RateLimit::keyed(Quota::per_hour(10), ClientIp::peer(), Missing::Share, 10_000)?;
    /// let handle = limit.handle();
    /// let client = LimitKey::client_ip("192.0.2.7".parse()?);
    /// assert!(!handle.reset(client)); // it has not been here
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&self, key: impl Hash) -> bool {
        let cell = self.0.find(self.0.hash(key));
        cell.map(Cell::reset).is_some()
    }

    /// Adds `tokens` to each quota of a key at `now`. `false` when the key has no cell.
    ///
    /// At most as many as are missing: a bucket holds at most its burst, and a window admits at
    /// most its count. A key without a cell has all its tokens.
    pub fn grant(&self, key: impl Hash, tokens: u32, now: Instant) -> bool {
        let now = self.0.settings.nanos(now);
        let cell = self.0.find(self.0.hash(key));
        cell.map(|cell| cell.grant(now, tokens)).is_some()
    }
}

impl<const N: usize> Clone for KeyedRateLimitHandle<N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<const N: usize> fmt::Debug for KeyedRateLimitHandle<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimitHandle")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}
