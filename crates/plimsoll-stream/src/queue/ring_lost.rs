//! Numbers that were lost between the items of a ring.

use std::{collections::VecDeque, mem};

use super::{
    reason::DropReason,
    ring::Ring,
    ring_side::is_queued,
    slot::{Run, Side},
};

/// Slots of lost numbers that are kept before a compaction, besides one per queued item.
///
/// In slots. It keeps compactions of short queues rare; `the_memory_of_lost_numbers_is_bounded`
/// fails without the bound.
pub(crate) const SLACK: usize = 16;

impl<T> Ring<T> {
    /// Adds lost numbers before the first item to those in front of the ring.
    pub(super) fn skip_lost(&mut self) {
        while let Some(run) = self.pop_run() {
            self.absorb(run);
        }
    }

    /// Removes the first slot if it holds lost numbers.
    #[inline]
    pub(super) fn pop_run(&mut self) -> Option<Run> {
        let run = self.sides.front()?.run()?;
        self.sides.pop_front();
        self.slots.pop_front();
        self.lost_slots -= 1;
        self.lost_numbers -= run.count;
        self.is_plain = self.may_be_plain && self.slots.is_empty();
        Some(run)
    }

    /// Evicts the item in this slot.
    pub(crate) fn evict(&mut self, index: usize, reason: DropReason) -> Option<T> {
        if index == 0 {
            return self.evict_oldest(reason);
        }
        let position = self.base() + index as u64;
        let item = self.slots.get_mut(index)?.take()?;
        self.add_sides();
        self.lost_slots += 1;
        self.lost_numbers += 1;
        let side = self.sides.get_mut(index)?;
        let side = mem::replace(side, Side::Lost(Run::one(reason)));
        if let Some(tag) = side.tag() {
            self.left(tag, position);
        }
        self.compact_if_sparse();
        Some(item)
    }

    /// Gives a new item that is not queued a number, and returns the number.
    pub(crate) fn lose_new(&mut self, reason: DropReason) -> u64 {
        let seq = self.tail;
        if self.slots.is_empty() {
            self.tail += 1;
            self.shift += 1;
            self.absorb(Run::one(reason));
            return seq;
        }
        self.add_sides();
        self.tail += 1;
        self.lost_numbers += 1;
        match self.sides.back_mut() {
            Some(Side::Lost(run)) if run.reason == reason => {
                run.count += 1;
                self.shift += 1;
            }
            _ => {
                self.slots.push_back(None);
                self.sides.push_back(Side::Lost(Run::one(reason)));
                self.lost_slots += 1;
                self.compact_if_sparse();
            }
        }
        seq
    }

    fn compact_if_sparse(&mut self) {
        if self.lost_slots > self.len() + SLACK {
            self.compact();
        }
    }

    /// Joins neighbouring runs of lost numbers, so that at most one precedes each item.
    #[cold]
    pub(super) fn compact(&mut self) {
        let base = self.base();
        let room = 2 * self.len() + 2;
        let old = mem::replace(&mut self.slots, VecDeque::with_capacity(room));
        let sides = mem::replace(&mut self.sides, VecDeque::with_capacity(room));
        let indexed = self.levels.is_some() || self.keys.is_some() || !self.early.is_empty();
        let moved_from = old.len();
        // The new index of each slot.
        let mut moved = Vec::with_capacity(if indexed { old.len() } else { 0 });
        for (slot, side) in old.into_iter().zip(sides) {
            let before = self
                .sides
                .back_mut()
                .filter(|before| before.run().is_some());
            if let (Some(run), Some(before)) = (side.run(), before) {
                before.add(run);
            } else {
                self.slots.push_back(slot);
                self.sides.push_back(side);
            }
            if indexed {
                moved.push(self.slots.len() as u64 - 1);
            }
        }
        let removed = moved_from - self.slots.len();
        self.lost_slots -= removed;
        self.shift += removed as u64;
        let new = |position: u64| {
            let index = position.checked_sub(base)? as usize;
            moved.get(index).map(|index| base + index)
        };
        if let Some(levels) = &mut self.levels {
            levels.renumber(|position| new(position).unwrap_or(position));
        }
        for (_, position) in &mut self.early {
            *position = new(*position).unwrap_or(*position);
        }
        if let Some(keys) = &mut self.keys {
            let slots = &self.slots;
            keys.renumber(|position| new(position).filter(|new| is_queued(slots, base, *new)));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::{
        key_hash::Secrets,
        queue::{keys::Keys, slot::Tag},
    };

    #[test]
    fn the_memory_of_lost_numbers_is_bounded() {
        let mut ring = Ring::new(None, None, false);
        let mut rng = Rng::with_seed(1);
        let reasons = [DropReason::Newest, DropReason::LowestPriority];
        for n in 0..10_000_u64 {
            ring.push(n, Tag::default(), None);
            // Two reasons in turn, so that no two neighbouring runs are alike.
            ring.lose_new(reasons[n as usize % 2]);
            if ring.len() > 20 {
                let index = ring.random(&mut rng).unwrap();
                ring.evict(index, DropReason::Random).unwrap();
            }
            let bound = 2 * ring.len() + SLACK + 2;
            assert!(ring.slots.len() <= bound, "{} slots", ring.slots.len());
            assert!(ring.is_plain || ring.sides.len() == ring.slots.len());
        }
    }

    #[test]
    fn the_memory_of_keys_is_bounded() {
        let mut ring = Ring::new(None, Some(Keys::default()), false);
        let secrets = Secrets::default();
        for n in 0..10_000_u64 {
            ring.push(n, Tag::default(), Some(secrets.hash(&n)));
            if ring.len() > 20 {
                ring.pop();
            }
            let keys = ring.keys.as_ref().map_or(0, Keys::len);
            assert!(keys <= 2 * (ring.len() + 1) + 16, "{keys} keys");
        }
    }
}
