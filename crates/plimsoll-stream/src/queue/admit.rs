//! What the policy decides about a new item.

use super::{
    clock::nanos,
    keys::KeyHash,
    outcome::{Evicted, Fate, ReserveError, SendError, Sent},
    policy::QueuePolicy,
    reason::DropReason,
    slot::Entry,
    state::State,
};

/// A new item, with what the caller's functions say about it.
#[derive(Debug)]
pub(crate) struct Offer<T> {
    pub(crate) item: T,
    pub(crate) weight: usize,
    pub(crate) level: u16,
    pub(crate) key: Option<KeyHash>,
}

impl<T> Offer<T> {
    /// The error about an item that weighs more than `max`.
    pub(crate) fn too_large(self, max: usize) -> SendError<T> {
        SendError::TooLarge {
            item: self.item,
            weight: self.weight,
            max,
        }
    }
}

/// The decision about a new item.
#[derive(Debug)]
pub(crate) enum Offered<T> {
    Sent(Sent<T>),
    /// The policy blocks, and there is no room.
    Full(Offer<T>),
    Closed(Offer<T>),
}

impl<T> State<T> {
    /// Queues the item, drops it or evicts others, as the policy says.
    ///
    /// Performance: inlined with what it calls under the two policies for fast streams, so that the
    /// item is moved once (`streams`, `queue/push+pop` and `queue/drop_oldest/full`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn offer(&mut self, offer: Offer<T>) -> Offered<T> {
        if self.closed {
            return Offered::Closed(offer);
        }
        match self.policy {
            QueuePolicy::Block { .. } => {
                if self.may_overtake() && self.fits(offer.weight) {
                    Offered::Sent(Sent::queued(self.push(offer)))
                } else {
                    Offered::Full(offer)
                }
            }
            QueuePolicy::DropOldest if self.has_plain_bounds() => {
                Offered::Sent(self.queue_or_evict_one(offer))
            }
            _ => Offered::Sent(self.offer_at_any_price(offer)),
        }
    }

    /// Whether one eviction makes room for any item.
    #[inline]
    fn has_plain_bounds(&self) -> bool {
        self.limits.bytes == usize::MAX && self.reserved.items == 0
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn queue_or_evict_one(&mut self, offer: Offer<T>) -> Sent<T> {
        let mut evicted = Evicted::new();
        if self.ring.len() == self.limits.items {
            if let Some(item) = self.ring.evict_oldest(DropReason::Oldest) {
                self.counters
                    .lose(QueuePolicy::DropOldest, DropReason::Oldest);
                evicted = Evicted::one(item, DropReason::Oldest);
            }
        }
        let seq = self.push(offer);
        let fate = Fate::Queued;
        Sent { seq, fate, evicted }
    }

    #[inline(never)]
    fn offer_at_any_price(&mut self, offer: Offer<T>) -> Sent<T> {
        if self.policy == QueuePolicy::Coalesce {
            self.coalesce(offer)
        } else {
            self.queue_or_evict(offer)
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

    /// Adds an item for which there is room.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn push(&mut self, offer: Offer<T>) -> u64 {
        self.counters.sent += 1;
        let at = self.stamp();
        let key = offer.key;
        self.ring.push(entry(offer, at), key)
    }

    /// The time now if the age of the item matters, or 0.
    #[inline]
    fn stamp(&mut self) -> u64 {
        let measured = self.waits.as_mut().is_some_and(super::waits::Waits::draw);
        if measured || matches!(self.policy, QueuePolicy::DropExpired { .. }) {
            self.clock.now()
        } else {
            0
        }
    }

    fn queue_or_evict(&mut self, offer: Offer<T>) -> Sent<T> {
        let mut evicted = Evicted::new();
        if !self.fits(offer.weight) {
            let reason = self.make_room(&offer, &mut evicted);
            if let Some(reason) = reason {
                return self.drop_new(offer.item, reason, evicted);
            }
        }
        Sent {
            evicted,
            ..Sent::queued(self.push(offer))
        }
    }

    /// Evicts until the item fits, or returns why it is dropped.
    fn make_room(&mut self, offer: &Offer<T>, evicted: &mut Evicted<T>) -> Option<DropReason> {
        if !self.fits_beside_reserved(offer.weight) {
            return Some(DropReason::Newest);
        }
        match self.policy {
            QueuePolicy::DropOldest | QueuePolicy::Coalesce => {
                while !self.fits(offer.weight) {
                    self.evict_oldest(DropReason::Oldest, evicted);
                }
                None
            }
            QueuePolicy::DropRandom { .. } => {
                while !self.fits(offer.weight) {
                    let Some(index) = self.ring.random(&mut self.rng) else {
                        break;
                    };
                    self.evict(index, DropReason::Random, evicted);
                }
                None
            }
            QueuePolicy::DropLowestPriority => {
                if !self.fits_without_lower(offer) {
                    return Some(DropReason::LowestPriority);
                }
                while !self.fits(offer.weight) {
                    let Some(index) = self.ring.lowest() else {
                        break;
                    };
                    self.evict(index, DropReason::LowestPriority, evicted);
                }
                None
            }
            QueuePolicy::DropExpired { ttl } => {
                self.expire(self.clock.now(), nanos(ttl), evicted);
                (!self.fits(offer.weight)).then_some(DropReason::Newest)
            }
            QueuePolicy::Block { .. } | QueuePolicy::DropNewest => Some(DropReason::Newest),
        }
    }

    /// Whether the item would fit without the items of lower levels.
    fn fits_without_lower(&self, offer: &Offer<T>) -> bool {
        let (items, bytes) = self.ring.below(offer.level);
        let (left, left_bytes) = (self.ring.len() - items, self.ring.bytes() - bytes);
        left + self.reserved.items < self.limits.items
            && offer.weight <= self.limits.bytes - left_bytes - self.reserved.bytes
    }

    fn coalesce(&mut self, offer: Offer<T>) -> Sent<T> {
        let mut evicted = Evicted::new();
        // Evictions for a heavier value may take the item that it would replace.
        while let Some((place, weight)) = offer.key.and_then(|key| self.ring.find(key)) {
            let free = self.limits.bytes - self.ring.bytes() - self.reserved.bytes;
            if offer.weight > free + weight {
                if !self.fits_beside_reserved(offer.weight) {
                    return self.drop_new(offer.item, DropReason::Newest, evicted);
                }
                self.evict_oldest(DropReason::Oldest, &mut evicted);
                continue;
            }
            let at = self.stamp();
            self.counters.sent += 1;
            self.counters.lose(self.policy, DropReason::Replaced);
            return Sent {
                seq: place.seq,
                fate: match self.ring.replace(place, entry(offer, at)) {
                    Ok(replaced) => Fate::Replaced(replaced),
                    // Not reached: `find` returns places of queued items.
                    Err(new) => Fate::Dropped(new.item, DropReason::Newest),
                },
                evicted,
            };
        }
        let sent = self.queue_or_evict(offer);
        Sent {
            evicted: join(evicted, sent.evicted),
            ..sent
        }
    }

    fn drop_new(&mut self, item: T, reason: DropReason, evicted: Evicted<T>) -> Sent<T> {
        self.counters.sent += 1;
        self.counters.lose(self.policy, reason);
        Sent {
            seq: self.ring.lose_new(reason),
            fate: Fate::Dropped(item, reason),
            evicted,
        }
    }

    /// Queues an item in the room that is reserved for it.
    pub(crate) fn offer_reserved(&mut self, offer: Offer<T>, reserved: usize) -> Sent<T> {
        self.unreserve(reserved);
        // What comes after `close` fills a reservation and replaces nothing.
        if self.policy == QueuePolicy::Coalesce && !self.closed {
            self.coalesce(offer)
        } else {
            Sent::queued(self.push(offer))
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

fn entry<T>(offer: Offer<T>, at: u64) -> Entry<T> {
    Entry {
        item: offer.item,
        weight: offer.weight,
        at,
        level: offer.level,
    }
}

fn join<T>(mut first: Evicted<T>, second: Evicted<T>) -> Evicted<T> {
    for (item, reason) in second {
        first.push(item, reason);
    }
    first
}
