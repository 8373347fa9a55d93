//! The latest item of each key.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::key_hash::KeyHash;

/// An item with its number. The item is in an `Arc`, so that none is cloned under the lock.
pub(crate) type Numbered<T> = (u64, Arc<T>);

/// The latest item of up to `max` keys. The key that has not changed for the longest is evicted.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    max: usize,
    items: HashMap<KeyHash, Numbered<T>>,
    /// Keys in the order of their changes, also earlier changes of a key: those are stale.
    order: VecDeque<(u64, KeyHash)>,
    /// The number of the last item that was evicted for lack of room.
    pub(crate) evicted: u64,
}

impl<T> Latest<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            items: HashMap::new(),
            order: VecDeque::new(),
            evicted: 0,
        }
    }

    /// Adds the latest item of a key, and returns the one that it replaces or evicts: the caller drops it outside of the lock.
    pub(crate) fn insert(&mut self, key: KeyHash, new: Numbered<T>) -> Option<Numbered<T>> {
        self.order.push_back((new.0, key));
        let replaced = self.items.insert(key, new);
        if replaced.is_none() && self.items.len() > self.max {
            return self.evict();
        }
        // At most as many stale entries as others, so this is O(1) for an insertion on average.
        if self.order.len() > 2 * self.items.len() {
            let items = &self.items;
            self.order
                .retain(|(seq, key)| items.get(key).is_some_and(|item| item.0 == *seq));
        }
        replaced
    }

    fn evict(&mut self) -> Option<Numbered<T>> {
        while let Some((seq, key)) = self.order.pop_front() {
            if self.items.get(&key).is_some_and(|item| item.0 == seq) {
                self.evicted = seq;
                return self.items.remove(&key);
            }
        }
        None
    }

    /// The items from this number on, in order.
    pub(crate) fn from(&self, seq: u64) -> VecDeque<Numbered<T>> {
        let from = self.order.partition_point(|(number, _)| *number < seq);
        self.order
            .range(from..)
            .filter_map(|(seq, key)| self.items.get(key).filter(|item| item.0 == *seq))
            .cloned()
            .collect()
    }
}
