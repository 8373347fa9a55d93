//! The latest queued item of each key.

use std::collections::HashMap;

use crate::key_hash::KeyHash;

/// Stale entries that are kept before a cleaning, besides one per queued item.
const SLACK: usize = 16;

/// Where an item is, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    pub(crate) seq: u64,
}

/// The place of the latest item of each key. An entry is stale when its item has left the queue.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<KeyHash, Place>);

impl Keys {
    pub(crate) fn get(&self, key: KeyHash) -> Option<Place> {
        self.0.get(&key).copied()
    }

    /// Adds the latest item of a key. `queued` is the number of queued items, and whether one is
    /// at a position.
    pub(crate) fn insert(
        &mut self,
        key: KeyHash,
        place: Place,
        queued: (usize, impl Fn(u64) -> bool),
    ) {
        let (items, is_queued) = queued;
        if self.0.len() >= 2 * items + SLACK {
            self.0.retain(|_, place| is_queued(place.position));
        }
        self.0.insert(key, place);
    }

    /// Changes all positions to those after a compaction; `None` for an item that has left.
    pub(crate) fn renumber(&mut self, new: impl Fn(u64) -> Option<u64>) {
        self.0.retain(|_, place| {
            let position = new(place.position);
            place.position = position.unwrap_or_default();
            position.is_some()
        });
    }

    /// Returns how many entries use memory.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
