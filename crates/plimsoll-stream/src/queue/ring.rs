//! The items in order, with the numbers that were lost between them.

use std::collections::VecDeque;

use super::{
    keys::{Keys, Place},
    levels::Levels,
    reason::{DropReason, Gap},
    slot::{Run, Slot},
};
use crate::key_hash::KeyHash;

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
///
/// Performance: a push writes `slots` and `tail`, and a pop `slots`; all else is derived from them or
/// seldom changes. So one cache line moves between the processors of a sender and a receiver
/// (`streams`, `queue/block/4p`).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ring<T> {
    pub(super) slots: VecDeque<Slot<T>>,
    /// The number of the next new item.
    tail: u64,
    /// The sum of the weights of the queued items.
    bytes: usize,
    /// Slots that hold lost numbers, and how many numbers these are.
    pub(super) lost_slots: usize,
    lost_numbers: u64,
    /// The difference between `tail` and the position of the next slot.
    pub(super) shift: u64,
    /// Lost numbers in front of the first slot that no consumer has seen.
    front: Option<Run>,
    pub(super) levels: Option<Levels>,
    pub(super) keys: Option<Keys>,
}

impl<T> Ring<T> {
    pub(crate) fn new(levels: Option<Levels>, keys: Option<Keys>) -> Self {
        Self {
            slots: VecDeque::new(),
            tail: 0,
            bytes: 0,
            lost_slots: 0,
            lost_numbers: 0,
            shift: 0,
            front: None,
            levels,
            keys,
        }
    }

    /// Queued items.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.lost_slots
    }

    /// The sum of the weights of the queued items.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many numbers were given to new items.
    #[inline]
    pub(crate) fn numbers(&self) -> u64 {
        self.tail
    }

    /// The number of the first slot, or of the next new item when there is no slot.
    #[inline]
    fn next(&self) -> u64 {
        self.tail - self.len() as u64 - self.lost_numbers
    }

    /// The position of the first slot. Positions grow by one per slot.
    #[inline]
    pub(super) fn base(&self) -> u64 {
        self.tail - self.shift - self.slots.len() as u64
    }

    /// Adds an item at the end, and returns its number.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push(&mut self, slot: Slot<T>, key: Option<KeyHash>) -> u64 {
        let seq = self.tail;
        if self.is_indexed() {
            self.index(slot.level, slot.weight, key);
        }
        if slot.weight != 0 {
            self.bytes += slot.weight;
        }
        self.tail += 1;
        self.slots.push_back(slot);
        seq
    }

    #[inline]
    fn is_indexed(&self) -> bool {
        self.levels.is_some() || self.keys.is_some()
    }

    /// Adds the next item to the indexes.
    #[inline(never)]
    fn index(&mut self, level: u16, weight: usize, key: Option<KeyHash>) {
        let (position, seq) = (self.tail - self.shift, self.tail);
        let (base, items) = (self.base(), self.len());
        if let Some(levels) = &mut self.levels {
            levels.add(level, position, weight);
        }
        if let (Some(keys), Some(key)) = (&mut self.keys, key) {
            let slots = &self.slots;
            let queued = (items, |position| is_queued(slots, base, position));
            keys.insert(key, Place { position, seq }, queued);
        }
    }

    /// Takes the oldest item, after its number and when it was sent. Gaps in front of it are no longer reported.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn pop(&mut self) -> Option<(u64, u64, T)> {
        if self.front.is_some() {
            self.front = None;
        }
        loop {
            let (seq, position) = (self.next(), self.base());
            let slot = self.slots.pop_front()?;
            if let Some(run) = slot.run() {
                self.forget(run);
                continue;
            }
            self.left(slot.level, slot.weight, position);
            let at = slot.sent_at();
            return slot.item.map(|item| (seq, at, item));
        }
    }

    /// Takes the gap in front of the oldest item, if there is one that was not reported.
    pub(crate) fn pop_gap(&mut self) -> Option<Gap> {
        if self.front.is_none() {
            if let Some(run) = self.slots.front().and_then(Slot::run) {
                self.slots.pop_front();
                self.forget(run);
                self.absorb(run);
            }
        }
        let run = self.front.take()?;
        Some(Gap {
            from: self.next() - run.count,
            to: self.next() - 1,
            reason: run.reason,
        })
    }

    /// When the oldest item was sent.
    pub(crate) fn oldest_at(&self) -> Option<u64> {
        self.queued().next().map(Slot::sent_at)
    }

    /// The queued items, oldest first.
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Slot<T>> {
        self.slots.iter().filter(|slot| slot.is_queued())
    }

    /// The same, to be changed.
    pub(crate) fn queued_mut(&mut self) -> impl Iterator<Item = &mut Slot<T>> {
        self.slots.iter_mut().filter(|slot| slot.is_queued())
    }

    /// Evicts the oldest item.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_oldest(&mut self, reason: DropReason) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        loop {
            let position = self.base();
            let slot = self.slots.pop_front()?;
            if let Some(run) = slot.run() {
                self.forget(run);
                self.absorb(run);
            } else {
                self.left(slot.level, slot.weight, position);
                self.absorb(Run::one(reason));
                return slot.item;
            }
        }
    }

    /// Evicts the item in this slot.
    pub(crate) fn evict(&mut self, index: usize, reason: DropReason) -> Option<T> {
        if index == 0 {
            return self.evict_oldest(reason);
        }
        let position = self.base() + index as u64;
        let slot = self.slots.get_mut(index)?;
        if !slot.is_queued() {
            return None;
        }
        let slot = std::mem::replace(slot, Slot::lost(Run::one(reason)));
        self.lost_slots += 1;
        self.lost_numbers += 1;
        self.left(slot.level, slot.weight, position);
        self.compact_if_sparse();
        slot.item
    }

    /// Gives a new item that is not queued a number, and returns the number.
    pub(crate) fn lose_new(&mut self, reason: DropReason) -> u64 {
        let seq = self.tail;
        self.tail += 1;
        match self.slots.back_mut() {
            None => {
                self.shift += 1;
                self.absorb(Run::one(reason));
            }
            Some(slot) if slot.run().is_some_and(|run| run.reason == reason) => {
                slot.add(Run::one(reason));
                self.shift += 1;
                self.lost_numbers += 1;
            }
            Some(_) => {
                self.slots.push_back(Slot::lost(Run::one(reason)));
                self.lost_slots += 1;
                self.lost_numbers += 1;
                self.compact_if_sparse();
            }
        }
        seq
    }

    /// Counts an item that leaves.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn left(&mut self, level: u16, weight: usize, position: u64) {
        if weight != 0 {
            self.bytes -= weight;
        }
        if let Some(levels) = &mut self.levels {
            levels.remove(level, position, weight);
        }
    }

    /// Counts a slot of lost numbers that leaves.
    fn forget(&mut self, run: Run) {
        self.lost_slots -= 1;
        self.lost_numbers -= run.count;
    }

    /// Changes the sum of the weights, when an item is replaced.
    pub(super) fn reweigh(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }

    /// Adds the numbers that were lost just before the first slot to those in front of it.
    #[inline]
    fn absorb(&mut self, run: Run) {
        match &mut self.front {
            Some(front) => front.add(run),
            None => self.front = Some(run),
        }
    }

    #[inline]
    fn compact_if_sparse(&mut self) {
        if self.lost_slots > self.len() + SLACK {
            self.compact();
        }
    }
}

/// Whether there is an item at this position.
pub(super) fn is_queued<T>(slots: &VecDeque<Slot<T>>, base: u64, position: u64) -> bool {
    let index = position.checked_sub(base).map(|index| index as usize);
    let slot = index.and_then(|index| slots.get(index));
    slot.is_some_and(Slot::is_queued)
}
