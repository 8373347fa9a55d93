//! What is to be done with a new item, and the two ways that take the least time.

use super::{
    error::SendError,
    outcome::{Lost, Sent},
    policy::QueuePolicy,
    reason::DropReason,
    slot::Tag,
    state::State,
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

    /// Whether a new sender may go before the queued ones.
    ///
    /// While the first of them has room reserved and is on its way, others use the rest of the
    /// room. Each reservation is for the first in the queue, so all get their turn. With a bound in
    /// bytes light items could keep a heavy one from ever fitting, so nothing overtakes there.
    #[inline]
    pub(super) fn may_overtake(&self) -> bool {
        self.senders.is_empty() || self.granted_senders > 0 && self.limits.bytes == usize::MAX
    }

    /// Whether any item fits after one eviction.
    #[inline]
    fn has_plain_bounds(&self) -> bool {
        self.limits.bytes == usize::MAX && self.reserved.items == 0
    }

    /// Queues an item and evicts the oldest one.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_one(&mut self, item: T, about: &About) -> Sent<T> {
        let oldest = self.ring.evict_oldest(DropReason::Oldest);
        // There is a gap in front now.
        self.forbid_short_receives();
        let seq = self.push(item, about);
        let Some(oldest) = oldest else {
            return Sent::queued(seq, Lost::new());
        };
        self.counters
            .lose(QueuePolicy::DropOldest, DropReason::Oldest, 1);
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
    pub(super) fn tag(&mut self, about: &About) -> Tag {
        Tag {
            weight: about.weight,
            sent_at: self.stamp(),
            level: about.level,
        }
    }

    /// The time now if the age of the item matters, or 0.
    #[inline]
    fn stamp(&mut self) -> u64 {
        let number = self.ring.numbers();
        let measured = self.waits.as_mut().is_some_and(|waits| waits.draw(number));
        if measured || matches!(self.policy, QueuePolicy::DropExpired { .. }) {
            self.clock.now()
        } else {
            0
        }
    }
}
