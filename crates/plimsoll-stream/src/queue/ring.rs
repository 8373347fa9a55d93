//! The items in order.

use std::{collections::VecDeque, mem};

use super::{
    batch::Slots,
    keys::Keys,
    levels::Levels,
    outcome::Lost,
    reason::{DropReason, Gap},
    slot::{Run, Side, Tag},
};
use crate::key_hash::KeyHash;

/// The items of a queue. It has no bounds of its own and no lock.
///
/// An item that is removed from the middle leaves an empty slot, which stands for lost numbers. When
/// these outnumber the items, one pass removes them (amortised constant time per removal). All other
/// operations take constant time, apart from those of `Levels`.
///
/// Performance: `sides` is empty while nothing is known beside the items, as it is in a queue that
/// loses only its oldest items. So only the item is moved, once in and once out (`streams`,
/// `queue/push+pop`).
///
/// Performance: a push writes `slots` and `tail`, and a pop `slots`; all else is derived from them or
/// seldom changes. So one cache line moves between the processors of a sender and a receiver
/// (`streams`, `queue/block/4p`).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ring<T> {
    /// `None` for lost numbers.
    pub(super) slots: Slots<T>,
    /// The number of the next new item.
    pub(super) tail: u64,
    /// Whether all slots are items without weight and level.
    pub(super) is_plain: bool,
    /// Whether it may be plain while it is empty.
    pub(super) may_be_plain: bool,
    /// Whether a send evicts the oldest item in the short way: see the file `short`.
    pub(super) evicts: bool,
    /// Lost numbers in front of the first slot that no consumer has seen.
    pub(super) front: Option<Run>,
    /// Items that short sends have evicted.
    pub(super) evicted: u64,
    /// Numbers and time stamps of the items that have one, while the ring is plain.
    pub(super) stamps: VecDeque<(u64, u64)>,
    /// What is kept beside each slot; empty while the ring is plain.
    pub(super) sides: VecDeque<Side>,
    /// The sum of the weights of the queued items.
    pub(super) bytes: usize,
    /// Slots that hold lost numbers, and how many numbers these are.
    pub(super) lost_slots: usize,
    pub(super) lost_numbers: u64,
    /// The difference between `tail` and the position of the next slot.
    pub(super) shift: u64,
    pub(super) levels: Option<Levels>,
    pub(super) keys: Option<Keys>,
    /// Time stamps and positions of the items behind a younger one, the oldest item last. It may
    /// have positions of items that have left.
    pub(super) early: Vec<(u64, u64)>,
}

impl<T> Ring<T> {
    /// An empty ring. `has_tags`: items have weights, or each a time stamp.
    pub(crate) fn new(levels: Option<Levels>, keys: Option<Keys>, has_tags: bool) -> Self {
        let may_be_plain = levels.is_none() && keys.is_none() && !has_tags;
        Self {
            slots: VecDeque::new(),
            tail: 0,
            is_plain: may_be_plain,
            may_be_plain,
            evicts: false,
            front: None,
            evicted: 0,
            stamps: VecDeque::new(),
            sides: VecDeque::new(),
            bytes: 0,
            lost_slots: 0,
            lost_numbers: 0,
            shift: 0,
            levels,
            keys,
            early: Vec::new(),
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

    /// Whether all slots are items without weight and level.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether it is plain and no item has a time stamp.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.is_plain && self.stamps.is_empty()
    }

    /// The number of the first slot, or of the next new item when there is no slot.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.tail - self.len() as u64 - self.lost_numbers
    }

    /// The position of the first slot. Positions grow by one per slot.
    #[inline]
    pub(super) fn base(&self) -> u64 {
        self.tail - self.shift - self.slots.len() as u64
    }

    /// Whether it has memory for one more item, and fewer than `limit`.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn has_room(&self, limit: usize) -> bool {
        self.slots.len() < limit && self.slots.len() < self.slots.capacity()
    }

    /// Adds an item without a time stamp at the end of a plain ring, and returns its number.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push_plain(&mut self, item: T) -> u64 {
        let seq = self.tail;
        self.tail += 1;
        self.slots.push_back(Some(item));
        seq
    }

    /// Takes the oldest item of a plain ring. It has no time stamp, and there is no gap before it.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn pop_plain(&mut self) -> Option<T> {
        self.slots.pop_front().flatten()
    }

    /// Whether further items can be evicted with [`evict_plain`](Self::evict_plain) if they have no
    /// time stamp, after one was evicted: the gap in front has the reason already, or several.
    #[inline]
    pub(crate) fn may_evict_plain(&self) -> bool {
        self.is_plain && self.front.is_some()
    }

    /// Evicts the oldest item of a plain ring, which has one, and counts it. It has no time stamp, and
    /// there is a gap in front of it.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_plain(&mut self) -> Lost<T> {
        if let Some(front) = &mut self.front {
            front.count += 1;
        }
        self.evicted += 1;
        match self.slots.pop_front() {
            Some(Some(item)) => Lost::one(item, DropReason::Oldest),
            _ => Lost::new(),
        }
    }

    /// Whether the ring is plain while it is empty.
    #[inline]
    pub(crate) fn may_be_plain(&self) -> bool {
        self.may_be_plain
    }

    /// Takes all items of a plain ring for a batch that is empty, and keeps the memory of the batch.
    #[inline]
    pub(super) fn exchange(&mut self, batch: &mut Slots<T>) {
        mem::swap(&mut self.slots, batch);
    }

    /// Puts what is left of a batch back in front of a plain ring.
    ///
    /// Moves at most the items that were sent since the batch was taken: amortised constant time per
    /// send.
    pub(super) fn put_back(&mut self, batch: &mut Slots<T>) {
        // The fewer items are moved.
        if batch.len() < self.slots.len() {
            for item in batch.drain(..).rev() {
                self.slots.push_front(item);
            }
        } else {
            batch.append(&mut self.slots);
            self.exchange(batch);
        }
    }

    /// How many items of a plain ring can be taken with [`pop_plain`](Self::pop_plain), up to what
    /// fits in the result.
    pub(crate) fn plain_items(&self) -> u16 {
        if self.front.is_some() || u32::try_from(self.slots.len()).is_err() {
            return 0;
        }
        let stamped = self.stamps.front().map(|(seq, _)| seq - self.next());
        stamped.map_or(u16::MAX, |items| u16::try_from(items).unwrap_or(u16::MAX))
    }

    /// Adds an item at the end, and returns its number.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push(&mut self, item: T, tag: Tag, key: Option<KeyHash>) -> u64 {
        let seq = self.tail;
        if !self.is_plain {
            self.push_side(tag, key);
        } else if tag.sent_at != 0 {
            self.push_stamp(tag.sent_at);
        }
        self.tail += 1;
        self.slots.push_back(Some(item));
        seq
    }

    /// Takes the oldest item, after its number and when it was sent. Gaps in front of it are no
    /// longer reported.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn pop(&mut self) -> Option<(u64, u64, T)> {
        if self.front.is_some() {
            self.front = None;
        }
        let sent_at = if self.is_plain {
            self.pop_stamp()
        } else {
            self.pop_side()?.sent_at
        };
        let seq = self.next();
        let item = self.slots.pop_front().flatten()?;
        Some((seq, sent_at, item))
    }

    /// Takes up to `limit` of the oldest items of a plain ring without time stamps.
    pub(crate) fn pop_many(&mut self, into: &mut Vec<T>, limit: usize) {
        self.front = None;
        let taken = limit.min(self.slots.len());
        into.extend(self.slots.drain(..taken).flatten());
    }

    /// Takes the gap in front of the oldest item, if there is one that was not reported.
    pub(crate) fn pop_gap(&mut self) -> Option<Gap> {
        if self.front.is_none() {
            if let Some(run) = self.pop_run() {
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

    /// Evicts the oldest item.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_oldest(&mut self, reason: DropReason) -> Option<T> {
        if self.is_plain {
            self.pop_stamp();
        } else {
            self.evict_side()?;
        }
        let item = self.slots.pop_front().flatten()?;
        self.absorb(Run::one(reason));
        Some(item)
    }

    /// Adds the numbers that were lost just before the first slot to those in front of it.
    #[inline]
    pub(super) fn absorb(&mut self, run: Run) {
        match &mut self.front {
            Some(front) => front.add(run),
            None => self.front = Some(run),
        }
    }
}
