//! Reads a per-key table's counters and cells.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    evictable::Evictable,
    table::{InUse, Table},
};

/// Reads the counters and cells of a [`Keyed`](super::Keyed) policy. Clones share the table.
pub struct KeyedHandle<P>(pub(super) Arc<Table<P>>);

impl<P: Evictable> KeyedHandle<P> {
    /// Returns how many keys have a cell of their own.
    pub fn keys(&self) -> u64 {
        self.0.live.load(Relaxed)
    }

    /// Returns how many keys can have a cell of their own at the same time.
    pub fn capacity(&self) -> u64 {
        self.0.capacity()
    }

    /// Returns how many cells were evicted: given to another key, after [`Evictable::settles_in`] became
    /// zero.
    pub fn evicted(&self) -> u64 {
        self.0.evicted.get()
    }

    /// Returns how many requests shared an overflow cell because their key found no slot. Rises
    /// when the capacity is too small, or under a flood of keys.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed.get()
    }

    /// Returns how many requests had no key.
    pub fn missing(&self) -> u64 {
        self.0.missing.get()
    }

    /// Returns a cell that counts no requests, to read the settings that all cells share.
    pub fn unused_cell(&self) -> &P {
        &self.0.unused
    }

    /// Returns the overflow cells, which keys without a slot share: at most one per 512 keys of
    /// capacity.
    pub fn overflow_cells(&self) -> impl Iterator<Item = &P> {
        self.0.overflow_cells()
    }

    /// Calls `look` with the cell of a key, if the key has its own. `key` must hash as the policy's
    /// key does (a [`ClientAddr`](crate::key::ClientAddr), a header's bytes as `&[u8]`, a route as
    /// `&str`).
    pub fn with_cell<R>(&self, key: impl Hash, look: impl FnOnce(&P) -> R) -> Option<R> {
        let place = self.0.enter_present(key)?;
        let _entered = InUse {
            table: &self.0,
            place,
        };
        self.0.cell(place).map(look)
    }
}

impl<P> Clone for KeyedHandle<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> fmt::Debug for KeyedHandle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHandle")
            .field("keys", &self.0.live)
            .finish_non_exhaustive()
    }
}
