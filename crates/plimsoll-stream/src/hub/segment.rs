//! A few consecutive items, which subscribers read without a lock.

use std::sync::{Arc, OnceLock, Weak};

/// Items in a segment.
///
/// A subscriber that is not polled keeps the one segment alive that it reads, so this bounds what
/// it retains; and it looks for the next segment once per segment. With 8, `streams`,
/// `hub/1000`, is slower by a fifth.
pub(crate) const SEGMENT: usize = 32;

/// An item with what is needed to judge the lag of a reader.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    pub(crate) item: T,
    /// When it was published, in nanoseconds of the hub's clock. 0 without a time to live.
    pub(crate) at: u64,
    /// The weight of all items that were published before it.
    pub(crate) bytes_before: u64,
}

/// Up to [`SEGMENT`] items, written once in order. Slots are empty behind the last one.
#[derive(Debug)]
pub(crate) struct Segment<T> {
    /// The number of the first item.
    pub(crate) first: u64,
    slots: Box<[OnceLock<Slot<T>>]>,
    /// Weak, so that a subscriber that is not polled does not keep all later segments alive.
    next: OnceLock<Weak<Self>>,
}

impl<T> Segment<T> {
    pub(crate) fn new(first: u64, len: usize) -> Arc<Self> {
        Arc::new(Self {
            first,
            slots: (0..len).map(|_| OnceLock::new()).collect(),
            next: OnceLock::new(),
        })
    }

    /// The item of this number, if it is in this segment and was published.
    #[inline]
    pub(crate) fn get(&self, seq: u64) -> Option<&Slot<T>> {
        let index = seq.wrapping_sub(self.first) as usize;
        self.slots.get(index).and_then(OnceLock::get)
    }

    /// Adds the item of this number. Hands it back when the segment is full.
    pub(crate) fn set(&self, seq: u64, slot: Slot<T>) -> Result<(), Slot<T>> {
        match self.slots.get((seq - self.first) as usize) {
            Some(place) => place.set(slot),
            None => Err(slot),
        }
    }

    /// The next segment, if there is one and the log still has it.
    pub(crate) fn next(&self) -> Option<Arc<Self>> {
        self.next.get().and_then(Weak::upgrade)
    }

    pub(crate) fn link(&self, next: &Arc<Self>) {
        // Called once for each segment, under the lock.
        _ = self.next.set(Arc::downgrade(next));
    }
}
