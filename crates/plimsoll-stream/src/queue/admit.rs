//! What the policy decides about a new item.

use super::{
    error::{ReserveError, SendError},
    outcome::{Fate, Lost, Sent},
    plan::{About, Plan},
    policy::QueuePolicy,
    reason::DropReason,
    state::State,
};

impl<T> State<T> {
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
            if let Some(waits) = &mut self.waits {
                waits.replaced();
            }
            let replaced = self.ring.replace(place, item, tag);
            self.counters.lose(self.policy, DropReason::Replaced, 1);
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
        self.counters.lose(self.policy, reason, 1);
        lost.push(item, reason);
        if let Some(waits) = &mut self.waits {
            waits.dropped();
        }
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
