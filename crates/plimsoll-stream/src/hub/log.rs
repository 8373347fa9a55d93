//! The items that a hub keeps: for subscribers that are behind, and for those that come back.

use std::{collections::VecDeque, sync::Arc};

use super::segment::{SEGMENT, Segment, Slot};

/// Segments that share the bound in bytes, so that evicting one frees a small part of it.
const PARTS: u64 = 16;

/// The bounds of a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// In items.
    pub(crate) items: u64,
    /// `u64::MAX` for no bound.
    pub(crate) bytes: u64,
    /// In nanoseconds; `u64::MAX` for no bound.
    pub(crate) ttl: u64,
}

/// The last items. Whole segments are evicted, so that slightly more is in memory than is kept.
#[derive(Debug)]
pub(crate) struct Log<T> {
    keep: Keep,
    /// Never empty.
    segments: VecDeque<Arc<Segment<T>>>,
    /// The number of the last item: 0 before the first.
    pub(crate) last: u64,
    /// The weight of all items that were ever published.
    pub(crate) bytes: u64,
    /// `bytes` when the last segment was begun.
    begun_at: u64,
}

/// Segments that left the log. They are dropped outside of the lock, since that runs code of the
/// caller.
pub(crate) type Evicted<T> = Vec<Arc<Segment<T>>>;

impl<T> Log<T> {
    pub(crate) fn new(keep: Keep) -> Self {
        let len = usize::try_from(keep.items).map_or(SEGMENT, |items| items.min(SEGMENT));
        Self {
            keep,
            segments: VecDeque::from([Segment::new(1, len)]),
            last: 0,
            bytes: 0,
            begun_at: 0,
        }
    }

    /// Adds an item, and returns its number.
    pub(crate) fn push(&mut self, item: T, weight: u64, now: u64, evicted: &mut Evicted<T>) -> u64 {
        let seq = self.last + 1;
        let mut slot = Slot {
            item,
            at: now,
            bytes_before: self.bytes,
        };
        let part = self.keep.bytes / PARTS;
        if self.bytes - self.begun_at <= part || self.keep.bytes == u64::MAX {
            match self.newest().set(seq, slot) {
                Ok(()) => return self.pushed(seq, weight, now, evicted),
                Err(back) => slot = back,
            }
        }
        self.begin(seq);
        // A new segment has room for one item.
        _ = self.newest().set(seq, slot);
        self.pushed(seq, weight, now, evicted)
    }

    fn pushed(&mut self, seq: u64, weight: u64, now: u64, evicted: &mut Evicted<T>) -> u64 {
        self.last = seq;
        self.bytes += weight;
        self.evict(now, evicted);
        seq
    }

    fn begin(&mut self, first: u64) {
        let len = usize::try_from(self.keep.items).map_or(SEGMENT, |items| items.min(SEGMENT));
        let segment = Segment::new(first, len);
        self.newest().link(&segment);
        self.segments.push_back(segment);
        self.begun_at = self.bytes;
    }

    /// The newest segment. There is always one: `new` begins with it, and `evict` leaves it.
    pub(crate) fn newest(&self) -> &Arc<Segment<T>> {
        &self.segments[self.segments.len() - 1]
    }

    /// Evicts segments of which nothing is kept.
    pub(crate) fn evict(&mut self, now: u64, evicted: &mut Evicted<T>) {
        while let Some(second) = self.segments.get(1) {
            // Nothing of the first segment is kept if the last item in it is not.
            let is_kept = self.segments[0]
                .get(second.first - 1)
                .is_some_and(|slot| self.keeps(second.first - 1, slot, now));
            if is_kept {
                break;
            }
            evicted.extend(self.segments.pop_front());
        }
    }

    fn keeps(&self, seq: u64, slot: &Slot<T>, now: u64) -> bool {
        self.last - seq < self.keep.items
            && self.bytes - slot.bytes_before <= self.keep.bytes
            && now.saturating_sub(slot.at) < self.keep.ttl
    }

    /// The number of the oldest item that is kept, or of the next one.
    pub(crate) fn oldest(&self, now: u64) -> u64 {
        // Numbers, weights and times grow, so what is kept is at the end.
        let next = self.last + 1;
        let from = next.saturating_sub(self.keep.items).max(self.first());
        let (mut low, mut high) = (from, next);
        while low < high {
            let middle = low + (high - low) / 2;
            let slot = self.segment(middle).and_then(|segment| segment.get(middle));
            if slot.is_some_and(|slot| self.keeps(middle, slot, now)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The number of the first item in memory.
    pub(crate) fn first(&self) -> u64 {
        self.segments[0].first
    }

    /// The first number of which fewer than `bytes` follow, its own included.
    pub(crate) fn within(&self, bytes: u64) -> u64 {
        let (mut low, mut high) = (self.first(), self.last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let slot = self.segment(middle).and_then(|segment| segment.get(middle));
            if slot.is_some_and(|slot| self.bytes - slot.bytes_before <= bytes) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The segment that has this number, or will have it.
    pub(crate) fn segment(&self, seq: u64) -> Option<&Arc<Segment<T>>> {
        let after = self
            .segments
            .partition_point(|segment| segment.first <= seq);
        after
            .checked_sub(1)
            .and_then(|index| self.segments.get(index))
    }

    /// Items in memory.
    pub(crate) fn len(&self) -> u64 {
        self.last + 1 - self.first()
    }
}
