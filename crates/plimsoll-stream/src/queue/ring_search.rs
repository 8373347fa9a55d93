//! The operations of a ring on items in its middle.

use fastrand::Rng;

use super::{
    keys::Place,
    ring::Ring,
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
}
