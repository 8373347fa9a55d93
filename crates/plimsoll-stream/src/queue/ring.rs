//! The items in order, with the numbers that were lost between them.

use std::collections::VecDeque;

use super::{
    keys::{KeyHash, Keys, Place},
    levels::Levels,
    reason::{DropReason, Gap},
    slot::{Entry, Run, Slot},
};

/// Slots of lost numbers that are kept before a compaction, besides one per queued item.
///
/// In slots. It keeps compactions of short queues rare; `the_memory_of_lost_numbers_is_bounded`
/// fails without the bound.
pub(crate) const SLACK: usize = 16;

/// The items of a queue. It has no bounds of its own and no lock.
///
/// An item that is removed from the middle leaves a slot of lost numbers. When these outnumber the
/// items, one pass removes them (amortised constant time per removal). All other operations take
/// constant time, apart from those of `Levels`.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    pub(super) slots: VecDeque<Slot<T>>,
    /// The position of the first slot. Positions grow by one per slot.
    pub(super) base: u64,
    /// Queued items.
    len: usize,
    /// The sum of their weights.
    bytes: usize,
    /// The number of the first slot, or of the next new item when there is no slot.
    next: u64,
    /// The number of the next new item.
    tail: u64,
    /// Lost numbers in front of the first slot that no consumer has seen.
    front: Option<Run>,
    pub(super) levels: Option<Levels>,
    pub(super) keys: Option<Keys>,
}

impl<T> Ring<T> {
    pub(crate) fn new(levels: Option<Levels>, keys: Option<Keys>) -> Self {
        Self {
            slots: VecDeque::new(),
            base: 0,
            len: 0,
            bytes: 0,
            next: 0,
            tail: 0,
            front: None,
            levels,
            keys,
        }
    }

    /// Queued items.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The sum of the weights of the queued items.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an item at the end, and returns its number.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push(&mut self, entry: Entry<T>, key: Option<KeyHash>) -> u64 {
        let seq = self.tail;
        if self.is_indexed() {
            self.index(entry.level, entry.weight, key, seq);
        }
        self.len += 1;
        self.bytes += entry.weight;
        self.tail += 1;
        self.slots.push_back(Slot::Queued(entry));
        seq
    }

    #[inline]
    fn is_indexed(&self) -> bool {
        self.levels.is_some() || self.keys.is_some()
    }

    /// Adds the next item to the indexes.
    #[inline(never)]
    fn index(&mut self, level: u16, weight: usize, key: Option<KeyHash>, seq: u64) {
        let position = self.base + self.slots.len() as u64;
        if let Some(levels) = &mut self.levels {
            levels.add(level, position, weight);
        }
        if let (Some(keys), Some(key)) = (&mut self.keys, key) {
            let (slots, base) = (&self.slots, self.base);
            let queued = (self.len, |position| is_queued(slots, base, position));
            keys.insert(key, Place { position, seq }, queued);
        }
    }

    /// Takes the oldest item with its number. Gaps in front of it are not reported any more.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn pop(&mut self) -> Option<(u64, Entry<T>)> {
        loop {
            match self.slots.pop_front() {
                Some(Slot::Queued(entry)) => {
                    let seq = self.next;
                    self.left(&entry, self.base);
                    self.front = None;
                    self.base += 1;
                    self.next += 1;
                    return Some((seq, entry));
                }
                Some(Slot::Lost(run)) => {
                    self.base += 1;
                    self.next += run.count;
                }
                None => {
                    self.front = None;
                    return None;
                }
            }
        }
    }

    /// Takes the gap in front of the oldest item, if there is one that was not reported.
    pub(crate) fn pop_gap(&mut self) -> Option<Gap> {
        if self.front.is_none() {
            if let Some(Slot::Lost(run)) = self.slots.front() {
                let run = *run;
                self.slots.pop_front();
                self.base += 1;
                self.absorb(run);
            }
        }
        let run = self.front.take()?;
        Some(Gap {
            from: self.next - run.count,
            to: self.next - 1,
            reason: run.reason,
        })
    }

    /// When the oldest item was sent.
    pub(crate) fn oldest_at(&self) -> Option<u64> {
        self.entries().next().map(|entry| entry.at)
    }

    /// The queued items, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Queued(entry) => Some(entry),
            Slot::Lost(_) => None,
        })
    }

    /// The same, to be changed.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Queued(entry) => Some(entry),
            Slot::Lost(_) => None,
        })
    }

    /// Evicts the oldest item.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_oldest(&mut self, reason: DropReason) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        loop {
            match self.slots.pop_front()? {
                Slot::Queued(entry) => {
                    self.left(&entry, self.base);
                    self.base += 1;
                    self.absorb(Run::one(reason));
                    return Some(entry.item);
                }
                Slot::Lost(run) => {
                    self.base += 1;
                    self.absorb(run);
                }
            }
        }
    }

    /// Evicts the item in this slot.
    pub(crate) fn evict(&mut self, index: usize, reason: DropReason) -> Option<T> {
        if index == 0 {
            return self.evict_oldest(reason);
        }
        let slot = self.slots.get_mut(index)?;
        match std::mem::replace(slot, Slot::Lost(Run::one(reason))) {
            Slot::Queued(entry) => {
                self.left(&entry, self.base + index as u64);
                self.compact_if_sparse();
                Some(entry.item)
            }
            lost @ Slot::Lost(_) => {
                *slot = lost;
                None
            }
        }
    }

    /// Gives a new item that is not queued a number, and returns the number.
    pub(crate) fn lose_new(&mut self, reason: DropReason) -> u64 {
        let seq = self.tail;
        self.tail += 1;
        match self.slots.back_mut() {
            None => self.absorb(Run::one(reason)),
            Some(Slot::Lost(run)) if run.reason == reason => run.count += 1,
            Some(_) => {
                self.slots.push_back(Slot::Lost(Run::one(reason)));
                self.compact_if_sparse();
            }
        }
        seq
    }

    /// Counts an item that leaves.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn left(&mut self, entry: &Entry<T>, position: u64) {
        self.len -= 1;
        self.bytes -= entry.weight;
        if let Some(levels) = &mut self.levels {
            levels.remove(entry.level, position, entry.weight);
        }
    }

    /// Changes the sum of the weights, when an item is replaced.
    pub(super) fn reweigh(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }

    /// Adds lost numbers to those in front of the first slot.
    #[inline]
    fn absorb(&mut self, run: Run) {
        self.next += run.count;
        match &mut self.front {
            Some(front) => front.add(run),
            None => self.front = Some(run),
        }
    }

    #[inline]
    fn compact_if_sparse(&mut self) {
        if self.slots.len() - self.len > self.len + SLACK {
            self.compact();
        }
    }
}

/// Whether there is an item at this position.
pub(super) fn is_queued<T>(slots: &VecDeque<Slot<T>>, base: u64, position: u64) -> bool {
    let index = position.checked_sub(base).map(|index| index as usize);
    let slot = index.and_then(|index| slots.get(index));
    matches!(slot, Some(Slot::Queued(_)))
}
