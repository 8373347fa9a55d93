//! The operations of a ring on items in its middle.

use std::{collections::VecDeque, mem};

use fastrand::Rng;

use super::{
    keys::{KeyHash, Place},
    ring::{Ring, is_queued},
    slot::{Entry, Slot},
};

impl<T> Ring<T> {
    /// The slot of a random item, each with the same probability.
    ///
    /// At most `len + SLACK` slots hold no item, so few draws are expected.
    pub(crate) fn random(&self, rng: &mut Rng) -> Option<usize> {
        if self.len() == 0 {
            return None;
        }
        loop {
            let index = rng.usize(..self.slots.len());
            if matches!(self.slots.get(index), Some(Slot::Queued(_))) {
                return Some(index);
            }
        }
    }

    /// The slot of the newest item of the lowest level.
    pub(crate) fn lowest(&self) -> Option<usize> {
        let position = self.levels.as_ref()?.lowest()?;
        Some((position - self.base) as usize)
    }

    /// Number and bytes of the items below `level`.
    pub(crate) fn below(&self, level: u16) -> (usize, usize) {
        self.levels
            .as_ref()
            .map_or((0, 0), |levels| levels.below(level))
    }

    /// The place and the weight of the latest queued item of a key.
    pub(crate) fn find(&self, key: KeyHash) -> Option<(Place, usize)> {
        let place = self.keys.as_ref()?.get(key)?;
        let index = place.position.checked_sub(self.base)? as usize;
        match self.slots.get(index)? {
            Slot::Queued(entry) => Some((place, entry.weight)),
            Slot::Lost(_) => None,
        }
    }

    /// Puts a new item in the place of a queued one, which it returns. `Err` has the new item, if
    /// there is none.
    pub(crate) fn replace(&mut self, place: Place, new: Entry<T>) -> Result<T, Entry<T>> {
        let index = place.position.wrapping_sub(self.base) as usize;
        let Some(Slot::Queued(entry)) = self.slots.get_mut(index) else {
            return Err(new);
        };
        let (before, after) = (entry.weight, new.weight);
        let (level, new_level) = (entry.level, new.level);
        let old = mem::replace(entry, new);
        self.reweigh(before, after);
        if let Some(levels) = &mut self.levels {
            levels.remove(level, place.position, before);
            levels.add(new_level, place.position, after);
        }
        Ok(old.item)
    }

    /// Joins neighbouring runs of lost numbers, so that at most one precedes each item.
    #[cold]
    pub(super) fn compact(&mut self) {
        let room = VecDeque::with_capacity(2 * self.len() + 2);
        let old = mem::replace(&mut self.slots, room);
        let indexed = self.levels.is_some() || self.keys.is_some();
        // The new index of each slot.
        let mut moved = Vec::with_capacity(if indexed { old.len() } else { 0 });
        for slot in old {
            match (slot, self.slots.back_mut()) {
                (Slot::Lost(run), Some(Slot::Lost(before))) => before.add(run),
                (slot, _) => self.slots.push_back(slot),
            }
            if indexed {
                moved.push(self.slots.len() as u64 - 1);
            }
        }
        let base = self.base;
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
