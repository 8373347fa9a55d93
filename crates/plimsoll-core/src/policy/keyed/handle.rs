//! What can be seen of a table from outside.

use std::{
    fmt,
    hash::Hash,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    Cell,
    table::{InUse, Table},
};

/// Counts and reads a [`Keyed`](super::Keyed) policy's table. Clones share it.
pub struct KeyedHandle<P>(pub(super) Arc<Table<P>>);

impl<P: Cell> KeyedHandle<P> {
    /// Keys that have a cell of their own.
    pub fn keys(&self) -> u64 {
        self.0.live.load(Relaxed)
    }

    /// Keys that can have one at the same time.
    pub fn capacity(&self) -> u64 {
        self.0.capacity()
    }

    /// Cells that were given to another key, after they had become as good as new.
    pub fn evicted(&self) -> u64 {
        self.0.evicted.get()
    }

    /// Requests of keys that found no slot and shared an overflow cell. Rises when the capacity is
    /// too small, or under a flood of keys.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed.get()
    }

    /// Requests without a key.
    pub fn missing(&self) -> u64 {
        self.0.missing.get()
    }

    /// A cell that counts no requests, for what all cells have in common: their settings.
    pub fn unused_cell(&self) -> &P {
        &self.0.unused
    }

    /// The cells that keys without one of their own share: at most one for 512 keys of the capacity.
    pub fn overflow_cells(&self) -> impl Iterator<Item = &P> {
        self.0.overflow_cells()
    }

    /// Looks at the cell of a key, if it has one of its own: `key` must hash as the policy's key does
    /// (a [`ClientAddr`](crate::ClientAddr), a header's bytes as `&[u8]`, a route as `&str`).
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
