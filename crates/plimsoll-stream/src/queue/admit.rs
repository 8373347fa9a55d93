//! What the policy decides about a new item.

use super::{
    outcome::{Fate, Lost, ReserveError, SendError, Sent},
    policy::QueuePolicy,
    reason::DropReason,
    slot::Tag,
    state::State,
    waits::Waits,
};
use crate::key_hash::KeyHash;

/// What the caller's functions return about an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) weight: usize,
    /// Performance: a whole word, because a copy of a part of one waits for its store (`streams`,
    /// `queue/block/1p`).
    pub(crate) level: usize,
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

/// What is to be done with a new item. It is known before the item is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// There is room.
    Queue,
    /// The item fits once the oldest one is evicted.
    EvictOldest,
    /// The policy decides.
    Decide,
    /// The policy blocks, and there is no room.
    Full,
    Closed,
    TooLarge,
}

impl<T> State<T> {
    /// Plans what to do with a new item of this weight.
    ///
    /// Performance: names what takes the least time under the two policies for fast streams, so
    /// that the item is then moved once (`streams`, `queue/push+pop` and `queue/drop_oldest/full`).
    #[inline]
    pub(crate) fn plan(&self, weight: usize) -> Plan {
        if self.closed {
            return Plan::Closed;
        }
        if weight > self.limits.bytes {
            return Plan::TooLarge;
        }
        match self.policy {
            QueuePolicy::Block { .. } if self.may_overtake() && self.fits(weight) => Plan::Queue,
            QueuePolicy::Block { .. } => Plan::Full,
            QueuePolicy::DropOldest if self.has_plain_bounds() => {
                if self.ring.len() < self.limits.items {
                    Plan::Queue
                } else {
                    Plan::EvictOldest
                }
            }
            _ => Plan::Decide,
        }
    }

    /// Does what was planned and is seldom or takes long.
    #[inline(never)]
    pub(crate) fn offer(
        &mut self,
        plan: Plan,
        item: T,
        about: &About,
    ) -> Result<Sent<T>, SendError<T>> {
        match plan {
            Plan::Full => Err(SendError::Full(item)),
            Plan::Closed => Err(SendError::Closed(item)),
            Plan::TooLarge => Err(about.too_large(item, self.limits.bytes)),
            Plan::Queue => Ok(Sent::queued(self.push(item, about), Lost::new())),
            Plan::EvictOldest => Ok(self.evict_one(item, about)),
            Plan::Decide if self.policy == QueuePolicy::Coalesce => Ok(self.coalesce(item, about)),
            Plan::Decide => Ok(self.queue_or_evict(item, about, Lost::new())),
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

    /// Queues an item in the place of the oldest one.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_one(&mut self, item: T, about: &About) -> Sent<T> {
        let oldest = self.ring.evict_oldest(DropReason::Oldest);
        let seq = self.push(item, about);
        let Some(oldest) = oldest else {
            return Sent::queued(seq, Lost::new());
        };
        self.counters
            .lose(QueuePolicy::DropOldest, DropReason::Oldest);
        Sent::queued(seq, Lost::one(oldest, DropReason::Oldest))
    }

    /// Adds an item for which there is room.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push(&mut self, item: T, about: &About) -> u64 {
        // A plain ring has items without weights and levels.
        let tag = if self.ring.is_plain() && self.waits.is_none() {
            Tag::default()
        } else {
            self.tag(about)
        };
        self.ring.push(item, tag, about.key)
    }

    #[inline(never)]
    fn tag(&mut self, about: &About) -> Tag {
        Tag {
            weight: about.weight,
            sent_at: self.stamp(),
            level: about.level,
        }
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
                self.expire(ttl, lost);
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
            let tag = self.tag(about);
            let replaced = self.ring.replace(place, item, tag);
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
