//! What a ring keeps beside its items: tags and indexes.

use std::{collections::VecDeque, mem};

use super::{
    keys::Place,
    ring::Ring,
    slot::{Side, Tag},
};
use crate::key_hash::KeyHash;

impl<T> Ring<T> {
    /// Starts to keep something beside each slot, until the ring is next empty.
    ///
    /// It takes time in proportion to the items, each of which was sent since the ring was empty:
    /// amortised constant time. The numbers of the ring must be those of its slots.
    #[cold]
    pub(super) fn add_sides(&mut self) {
        if self.is_plain {
            self.is_plain = false;
            let first = self.next();
            let mut stamps = mem::take(&mut self.stamps).into_iter().peekable();
            let tags = (0..self.slots.len() as u64).map(|index| {
                let stamp = stamps.next_if(|(seq, _)| *seq == first + index);
                let sent_at = stamp.map_or(0, |(_, at)| at);
                Side::Queued(Tag {
                    sent_at,
                    ..Tag::default()
                })
            });
            self.sides.extend(tags);
        }
    }

    /// Adds the time stamp of the next item of a plain ring.
    #[cold]
    pub(super) fn push_stamp(&mut self, at: u64) {
        self.stamps.push_back((self.tail, at));
    }

    /// Removes the time stamp of the first item of a plain ring. Returns 0 if it has none.
    #[inline]
    pub(super) fn pop_stamp(&mut self) -> u64 {
        let next = self.next();
        let Some((_, at)) = self.stamps.front().filter(|(seq, _)| *seq == next) else {
            return 0;
        };
        let at = *at;
        self.stamps.pop_front();
        at
    }

    /// From now on items have time stamps; those without one get `now`.
    ///
    /// It takes time in proportion to the items, and `n * log(n)` for those behind a younger one.
    pub(crate) fn stamp_all(&mut self, now: u64) {
        self.add_sides();
        self.may_be_plain = false;
        self.early.clear();
        let mut latest = 0;
        for (position, side) in (self.base()..).zip(&mut self.sides) {
            let Side::Queued(tag) = side else {
                continue;
            };
            if tag.sent_at == 0 {
                tag.sent_at = now;
            }
            if tag.sent_at < latest {
                self.early.push((tag.sent_at, position));
            }
            latest = latest.max(tag.sent_at);
        }
        self.early.sort_unstable_by(|one, other| other.cmp(one));
    }

    /// The slot of the item that was sent first, if that was at `before` or earlier: the caller evicts
    /// it. All items have time stamps.
    pub(crate) fn sent_by(&mut self, before: u64) -> Option<usize> {
        self.skip_lost();
        let base = self.base();
        while matches!(self.early.last(), Some((_, position)) if *position < base) {
            self.early.pop();
        }
        let front = self.sides.front()?.tag()?.sent_at;
        let early = self.early.last().copied().filter(|(at, _)| *at < front);
        let (at, position) = early.unwrap_or((front, base));
        if at > before {
            return None;
        }
        if early.is_some() {
            self.early.pop();
        }
        Some((position - base) as usize)
    }

    /// From now on items need no time stamps.
    pub(crate) fn stamp_none(&mut self, has_weights: bool) {
        self.early = Vec::new();
        self.may_be_plain = self.levels.is_none() && self.keys.is_none() && !has_weights;
        self.is_plain |= self.may_be_plain && self.slots.is_empty();
    }

    /// What is known about the queued items, oldest first.
    fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.sides.iter().filter_map(Side::tag)
    }

    /// The time stamp of the first item that has one.
    pub(crate) fn oldest_stamp(&self) -> Option<u64> {
        let stamp = self.stamps.front().map(|(_, at)| *at);
        stamp.or_else(|| self.tags().map(|tag| tag.sent_at).find(|at| *at != 0))
    }

    /// Adds what is kept beside the next item.
    #[inline(never)]
    pub(super) fn push_side(&mut self, tag: Tag, key: Option<KeyHash>) {
        if self.levels.is_some() || self.keys.is_some() {
            self.index(&tag, key);
        }
        self.bytes += tag.weight;
        self.sides.push_back(Side::Queued(tag));
    }

    /// Adds the next item to the indexes.
    #[inline(never)]
    fn index(&mut self, tag: &Tag, key: Option<KeyHash>) {
        let (position, seq) = (self.tail - self.shift, self.tail);
        let (base, items) = (self.base(), self.len());
        if let Some(levels) = &mut self.levels {
            levels.add(tag.level, position, tag.weight);
        }
        if let (Some(keys), Some(key)) = (&mut self.keys, key) {
            let slots = &self.slots;
            let queued = (items, |position| is_queued(slots, base, position));
            keys.insert(key, Place { position, seq }, queued);
        }
    }

    /// Removes lost numbers before the first item, and what is kept beside that item.
    #[inline(never)]
    pub(super) fn pop_side(&mut self) -> Option<Tag> {
        while self.pop_run().is_some() {}
        self.take_side()
    }

    /// Adds lost numbers before the first item to those in front of the ring, and removes what is
    /// kept beside that item.
    #[inline(never)]
    pub(super) fn evict_side(&mut self) -> Option<Tag> {
        if self.len() == 0 {
            return None;
        }
        self.skip_lost();
        self.take_side()
    }

    /// Removes what is kept beside the first slot, an item that now leaves.
    #[inline]
    fn take_side(&mut self) -> Option<Tag> {
        let position = self.base();
        let tag = *self.sides.pop_front()?.tag()?;
        self.left(&tag, position);
        self.is_plain = self.may_be_plain && self.sides.is_empty();
        Some(tag)
    }

    /// Counts an item that leaves.
    #[inline]
    pub(super) fn left(&mut self, tag: &Tag, position: u64) {
        self.bytes -= tag.weight;
        if let Some(levels) = &mut self.levels {
            levels.remove(tag.level, position, tag.weight);
        }
    }
}

/// Whether there is an item at this position.
pub(super) fn is_queued<T>(slots: &VecDeque<Option<T>>, base: u64, position: u64) -> bool {
    let index = position.checked_sub(base).map(|index| index as usize);
    let slot = index.and_then(|index| slots.get(index));
    slot.is_some_and(Option::is_some)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::queue::reason::DropReason;

    #[test]
    fn items_are_found_by_age_wherever_they_are() {
        let mut ring = Ring::new(None, None, false);
        let mut rng = Rng::with_seed(1);
        ring.add_sides();
        let mut ages: Vec<_> = (1..=500).collect();
        rng.shuffle(&mut ages);
        for sent_at in ages {
            let tag = Tag {
                sent_at,
                ..Tag::default()
            };
            ring.push(sent_at, tag, None);
        }
        ring.stamp_all(501);
        for sent_at in 1..=500 {
            assert_eq!(ring.sent_by(sent_at - 1), None);
            // Evictions from the middle compact the ring, again and again.
            let index = ring.sent_by(sent_at).unwrap();
            let evicted = ring.evict(index, DropReason::Expired);
            assert_eq!(evicted, Some(sent_at));
        }
        assert_eq!((ring.len(), ring.early.len()), (0, 0));
    }

    #[test]
    fn a_ring_is_plain_again_after_its_items_had_time_stamps() {
        let mut ring = Ring::new(None, None, false);
        ring.push('a', Tag::default(), None);
        ring.stamp_all(1);
        assert!(!ring.is_plain());
        ring.stamp_none(false);
        assert!(!ring.is_plain(), "an item still has one");
        ring.pop();
        assert!(ring.is_plain());
        ring.stamp_all(1);
        ring.stamp_none(false);
        assert!(ring.is_plain(), "an empty ring at once");
        ring.stamp_none(true);
        ring.stamp_all(1);
        ring.stamp_none(true);
        assert!(!ring.is_plain(), "items have weights");
    }
}
