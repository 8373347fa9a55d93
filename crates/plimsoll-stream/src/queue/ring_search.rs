//! The operations of a ring on items in its middle.

use std::{collections::VecDeque, mem};

use fastrand::Rng;

use super::{
    keys::Place,
    ring::Ring,
    ring_side::is_queued,
    slot::{Side, Tag},
};
use crate::key_hash::KeyHash;

impl<T> Ring<T> {
    /// The slot of a random item, each with the same probability.
    ///
    /// At most `len + SLACK` slots hold no item, which bounds the expected draws.
    pub(crate) fn random(&self, rng: &mut Rng) -> Option<usize> {
        if self.len() == 0 {
            return None;
        }
        loop {
            let index = rng.usize(..self.slots.len());
            if self.slots.get(index).is_some_and(Option::is_some) {
                return Some(index);
            }
        }
    }

    /// The slot of the newest item of the lowest level.
    pub(crate) fn lowest(&self) -> Option<usize> {
        let position = self.levels.as_ref()?.lowest()?;
        Some((position - self.base()) as usize)
    }

    /// Number and bytes of the items below `level`.
    pub(crate) fn below(&self, level: usize) -> (usize, usize) {
        self.levels
            .as_ref()
            .map_or((0, 0), |levels| levels.below(level))
    }

    /// The place and the weight of the latest queued item of a key.
    pub(crate) fn find(&self, key: KeyHash) -> Option<(Place, usize)> {
        let place = self.keys.as_ref()?.get(key)?;
        let index = place.position.checked_sub(self.base())? as usize;
        let tag = self.sides.get(index)?.tag()?;
        Some((place, tag.weight))
    }

    /// Replaces the queued item at this place by `new` and returns it. Returns `None`, and changes
    /// nothing, when the item has left the queue.
    pub(crate) fn replace(&mut self, place: Place, new: T, tag: Tag) -> Option<T> {
        let index = place.position.checked_sub(self.base())? as usize;
        let slot = self.slots.get_mut(index).filter(|slot| slot.is_some())?;
        let side = self.sides.get_mut(index)?;
        let before = *side.tag()?;
        *side = Side::Queued(tag);
        let replaced = slot.replace(new);
        self.bytes = self.bytes - before.weight + tag.weight;
        if let Some(levels) = &mut self.levels {
            levels.remove(before.level, place.position, before.weight);
            levels.add(tag.level, place.position, tag.weight);
        }
        replaced
    }

    /// Joins neighbouring runs of lost numbers, so that at most one precedes each item.
    #[cold]
    pub(super) fn compact(&mut self) {
        let base = self.base();
        let room = 2 * self.len() + 2;
        let old = mem::replace(&mut self.slots, VecDeque::with_capacity(room));
        let sides = mem::replace(&mut self.sides, VecDeque::with_capacity(room));
        let indexed = self.levels.is_some() || self.keys.is_some();
        let moved_from = old.len();
        // The new index of each slot.
        let mut moved = Vec::with_capacity(if indexed { old.len() } else { 0 });
        for (slot, side) in old.into_iter().zip(sides) {
            let before = self
                .sides
                .back_mut()
                .filter(|before| before.run().is_some());
            match (side.run(), before) {
                (Some(run), Some(before)) => before.add(run),
                _ => {
                    self.slots.push_back(slot);
                    self.sides.push_back(side);
                }
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
        if let Some(keys) = &mut self.keys {
            let slots = &self.slots;
            keys.renumber(|position| new(position).filter(|new| is_queued(slots, base, *new)));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        key_hash::Secrets,
        queue::{keys::Keys, reason::DropReason, ring_side::SLACK},
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
