//! What the policy decides about a new item.

use super::{
    outcome::{Fate, Lost, ReserveError, SendError, Sent},
    policy::QueuePolicy,
    reason::DropReason,
    slot::Slot,
    state::State,
    waits::Waits,
};
use crate::{clock::nanos, key_hash::KeyHash};

/// What the caller's functions return about an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) weight: usize,
    pub(crate) level: u16,
    pub(crate) key: Option<KeyHash>,
}

impl About {
    /// The error about an item that weighs more than `max`.
    pub(crate) fn too_large<T>(&self, item: T, max: usize) -> SendError<T> {
        SendError::TooLarge {
            item,
            weight: self.weight,
            max,
        }
    }
}

impl<T> State<T> {
    /// Queues the item, drops it or evicts others, by the policy.
    ///
    /// [`SendError::Full`]: the policy blocks, and there is no room.
    ///
    /// Performance: inlined with what it calls under the two policies for fast streams, so that the
    /// item is moved once (`streams`, `queue/push+pop` and `queue/drop_oldest/full`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn offer(&mut self, item: T, about: &About) -> Result<Sent<T>, SendError<T>> {
        if self.closed {
            return Err(SendError::Closed(item));
        }
        if about.weight > self.limits.bytes {
            return Err(about.too_large(item, self.limits.bytes));
        }
        match self.policy {
            QueuePolicy::Block { .. } => {
                if self.may_overtake() && self.fits(about.weight) {
                    Ok(Sent::queued(self.push(item, about), Lost::new()))
                } else {
                    Err(SendError::Full(item))
                }
            }
            QueuePolicy::DropOldest if self.has_plain_bounds() => {
                Ok(self.queue_or_evict_one(item, about))
            }
            _ => Ok(self.decide(item, about)),
        }
    }

    /// Whether a new sender may go before the queued ones.
    ///
    /// While the first of them has room reserved and is on its way, others use the rest of the
    /// room. Each reservation is for the first in the queue, so all get their turn. With a bound in
    /// bytes light items could keep a heavy one from ever fitting, so nothing overtakes there.
    #[inline]
    fn may_overtake(&self) -> bool {
        self.senders.is_empty() || self.granted_senders > 0 && self.limits.bytes == usize::MAX
    }

    /// Whether any item fits after one eviction.
    #[inline]
    fn has_plain_bounds(&self) -> bool {
        self.limits.bytes == usize::MAX && self.reserved.items == 0
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn queue_or_evict_one(&mut self, item: T, about: &About) -> Sent<T> {
        if self.ring.len() < self.limits.items {
            return Sent::queued(self.push(item, about), Lost::new());
        }
        let oldest = self.ring.evict_oldest(DropReason::Oldest);
        let seq = self.push(item, about);
        match oldest {
            Some(oldest) => {
                self.counters
                    .lose(QueuePolicy::DropOldest, DropReason::Oldest);
                Sent::queued(seq, Lost::one(oldest, DropReason::Oldest))
            }
            None => Sent::queued(seq, Lost::new()),
        }
    }

    /// Adds an item for which there is room.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push(&mut self, item: T, about: &About) -> u64 {
        let at = self.stamp();
        self.ring.push(slot(item, about, at), about.key)
    }

    /// The time now if the age of the item matters, or 0.
    #[inline]
    fn stamp(&mut self) -> u64 {
        let measured = self.waits.as_mut().is_some_and(Waits::draw);
        if measured || matches!(self.policy, QueuePolicy::DropExpired { .. }) {
            self.clock.now()
        } else {
            0
        }
    }

    #[inline(never)]
    fn decide(&mut self, item: T, about: &About) -> Sent<T> {
        if self.policy == QueuePolicy::Coalesce {
            self.coalesce(item, about)
        } else {
            self.queue_or_evict(item, about, Lost::new())
        }
    }

    fn queue_or_evict(&mut self, item: T, about: &About, mut lost: Lost<T>) -> Sent<T> {
        if !self.fits(about.weight) {
            if let Some(reason) = self.make_room(about, &mut lost) {
                return self.drop_new(item, reason, lost);
            }
        }
        Sent::queued(self.push(item, about), lost)
    }

    /// Evicts until the item fits, or returns why it is dropped.
    fn make_room(&mut self, about: &About, lost: &mut Lost<T>) -> Option<DropReason> {
        if !self.fits_beside_reserved(about.weight) {
            return Some(DropReason::Newest);
        }
        match self.policy {
            QueuePolicy::DropOldest | QueuePolicy::Coalesce => {
                while !self.fits(about.weight) {
                    self.evict_oldest(DropReason::Oldest, lost);
                }
                None
            }
            QueuePolicy::DropRandom { .. } => {
                while !self.fits(about.weight) {
                    let Some(index) = self.ring.random(&mut self.rng) else {
                        break;
                    };
                    self.evict(index, DropReason::Random, lost);
                }
                None
            }
            QueuePolicy::DropLowestPriority => {
                if !self.fits_without_lower(about) {
                    return Some(DropReason::LowestPriority);
                }
                while !self.fits(about.weight) {
                    let Some(index) = self.ring.lowest() else {
                        break;
                    };
                    self.evict(index, DropReason::LowestPriority, lost);
                }
                None
            }
            QueuePolicy::DropExpired { ttl } => {
                self.expire(self.clock.now(), nanos(ttl), lost);
                (!self.fits(about.weight)).then_some(DropReason::Newest)
            }
            QueuePolicy::Block { .. } | QueuePolicy::DropNewest => Some(DropReason::Newest),
        }
    }

    /// Whether the item would fit without the items of lower levels.
    fn fits_without_lower(&self, about: &About) -> bool {
        let (items, bytes) = self.ring.below(about.level);
        let (left, left_bytes) = (self.ring.len() - items, self.ring.bytes() - bytes);
        left + self.reserved.items < self.limits.items
            && about.weight <= self.limits.bytes - left_bytes - self.reserved.bytes
    }

    fn coalesce(&mut self, item: T, about: &About) -> Sent<T> {
        let mut lost = Lost::new();
        // Evictions for a heavier value may take the item that it would replace.
        while let Some((place, weight)) = about.key.and_then(|key| self.ring.find(key)) {
            let free = self.limits.bytes - self.ring.bytes() - self.reserved.bytes;
            if about.weight > free.saturating_add(weight) {
                if !self.fits_beside_reserved(about.weight) {
                    return self.drop_new(item, DropReason::Newest, lost);
                }
                self.evict_oldest(DropReason::Oldest, &mut lost);
                continue;
            }
            let mut new = slot(item, about, self.stamp());
            let replaced = self.ring.replace(place, &mut new);
            self.counters.lose(self.policy, DropReason::Replaced);
            // `find` returns places of queued items, so one was replaced.
            if let Some(replaced) = replaced {
                lost.push(replaced, DropReason::Replaced);
            }
            let (seq, fate) = (place.seq, Fate::Replaced);
            return Sent { seq, fate, lost };
        }
        self.queue_or_evict(item, about, lost)
    }

    fn drop_new(&mut self, item: T, reason: DropReason, mut lost: Lost<T>) -> Sent<T> {
        self.counters.lose(self.policy, reason);
        lost.push(item, reason);
        let (seq, fate) = (self.ring.lose_new(reason), Fate::Dropped);
        Sent { seq, fate, lost }
    }

    /// Queues an item in the room that is reserved for it.
    pub(crate) fn offer_reserved(&mut self, item: T, about: &About, reserved: usize) -> Sent<T> {
        self.unreserve(reserved);
        // What comes after `close` fills a reservation and replaces nothing.
        if self.policy == QueuePolicy::Coalesce && !self.closed {
            self.coalesce(item, about)
        } else {
            Sent::queued(self.push(item, about), Lost::new())
        }
    }

    /// Reserves room for one item, whatever the policy. It evicts nothing.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> Result<(), ReserveError> {
        if self.closed {
            return Err(ReserveError::Closed);
        }
        let max = self.limits.bytes;
        if bytes > max {
            return Err(ReserveError::TooLarge { bytes, max });
        }
        if !self.may_overtake() || !self.fits(bytes) {
            return Err(ReserveError::Full);
        }
        self.reserve(bytes);
        Ok(())
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn slot<T>(item: T, about: &About, at: u64) -> Slot<T> {
    Slot::queued(item, about.weight, about.level, at)
}
