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
use crate::figures::Figures;

/// Reads the counters and cells of a [`Keyed`](super::Keyed) policy. Clones share the table.
pub struct KeyedHandle<P> {
    pub(super) table: Arc<Table<P>>,
    /// The figures that all cells share.
    pub(super) shared: Option<Arc<dyn Figures>>,
}

impl<P: Evictable> KeyedHandle<P> {
    /// Returns how many keys have a cell of their own.
    pub fn keys(&self) -> u64 {
        self.table.live.load(Relaxed)
    }

    /// Returns how many keys can have a cell of their own at the same time.
    pub fn capacity(&self) -> u64 {
        self.table.capacity()
    }

    /// Returns how many cells were evicted: given to another key, after [`Evictable::settles_in`] became
    /// zero.
    pub fn evicted(&self) -> u64 {
        self.table.evicted.get()
    }

    /// Returns how many requests shared an overflow cell because their key found no slot. Rises
    /// when the capacity is too small, or under a flood of keys.
    pub fn overflowed(&self) -> u64 {
        self.table.overflowed.get()
    }

    /// Returns how many requests had no key.
    pub fn missing(&self) -> u64 {
        self.table.missing.get()
    }

    /// Returns a cell that counts no requests, to read the settings that all cells share.
    pub fn unused_cell(&self) -> &P {
        &self.table.unused
    }

    /// Returns the overflow cells, which keys without a slot share: at most one per 512 keys of
    /// capacity.
    pub fn overflow_cells(&self) -> impl Iterator<Item = &P> {
        self.table.overflow_cells()
    }

    /// Calls `look` with the cell of a key, if the key has its own. `key` must hash as the policy's
    /// key does (a [`ClientAddr`](crate::key::ClientAddr), a header's bytes as `&[u8]`, a route as
    /// `&str`).
    pub fn with_cell<R>(&self, key: impl Hash, look: impl FnOnce(&P) -> R) -> Option<R> {
        let place = self.table.enter_present(key)?;
        let _entered = InUse {
            table: &self.table,
            place,
        };
        self.table.cell(place).map(look)
    }
}

impl<P> Clone for KeyedHandle<P> {
    fn clone(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
            shared: self.shared.clone(),
        }
    }
}

impl<P> fmt::Debug for KeyedHandle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHandle")
            .field("keys", &self.table.live)
            .finish_non_exhaustive()
    }
}
