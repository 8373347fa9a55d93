//! The handle of a keyed rate limit.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::time::Instant;

use super::table::Table;
use crate::{RateLimitHandle, cell::Cell, share::Share};

/// Reads and changes a [`KeyedRateLimit`](super::KeyedRateLimit) while it is in use. Clones share
/// it.
pub struct KeyedRateLimitHandle<const N: usize = 1>(pub(super) Arc<Table<N>>);

impl<const N: usize> KeyedRateLimitHandle<N> {
    /// Returns the handle of the quotas that all keys have.
    pub fn limit(&self) -> RateLimitHandle<N> {
        RateLimitHandle::new(Arc::clone(&self.0.settings))
    }

    /// Keys that have a cell.
    pub fn keys(&self) -> u64 {
        self.0.keys.load(Relaxed)
    }

    /// Cells in the table: the number of keys that can have a cell at the same time.
    pub fn capacity(&self) -> u64 {
        self.0.capacity() as u64
    }

    /// Bytes of memory that cells take now. Never shrinks.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Cells that were given to another key: full of tokens, or on probation.
    pub fn evicted(&self) -> u64 {
        self.0.evicted.get()
    }

    /// Evicted cells whose quota was not full: the new key inherited what had been taken.
    ///
    /// Rises under a flood of keys, or when the capacity is too small.
    pub fn inherited(&self) -> u64 {
        self.0.inherited.get()
    }

    /// Requests counted in overflow buckets, because all eight cells were kept for known keys.
    ///
    /// Rises when the capacity is too small.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed.get()
    }

    /// Requests without a key.
    pub fn missing(&self) -> u64 {
        self.0.missing.get()
    }

    /// Tokens that a key could take at `now`; `None` when the key has no cell.
    ///
    /// `key` must hash like the policy's key: a [`LimitKey`](crate::LimitKey), or for a closure the
    /// value that it returns.
    pub fn available(&self, key: impl Hash, now: Instant) -> Option<u64> {
        let cell = self.0.find(self.0.hash(key))?;
        Some(cell.remaining(Share::FULL, self.0.settings.nanos(now)))
    }

    /// Resets all quotas of a key to full and clears its debts. `false` when the key has no cell.
    ///
    /// Running requests of this key are not refunded after that.
    ///
    /// ```
    /// use plimsoll_core::{ClientIp, Missing};
    /// use plimsoll_rate_limit::{LimitKey, Quota, RateLimit};
    ///
    /// let limit = RateLimit::new(Quota::per_hour(10))?;
    /// let limit = limit.per_key(ClientIp::peer(), Missing::Share, 10_000)?;
    /// let handle = limit.handle();
    /// let client = LimitKey::client_ip("192.0.2.7".parse()?);
    /// assert!(!handle.reset(client)); // no request of this client yet
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&self, key: impl Hash) -> bool {
        let cell = self.0.find(self.0.hash(key));
        cell.map(Cell::reset).is_some()
    }

    /// Adds `tokens` to each quota of a key at `now`. `false` when the key has no cell.
    ///
    /// Adds at most the tokens that are missing: a bucket holds at most its burst, and a window
    /// admits at most its count. A key without a cell has all its tokens.
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
