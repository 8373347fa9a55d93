//! What the lock of a queue protects.

use std::{task::Waker, time::Duration};

use fastrand::Rng;
use plimsoll_core::policy::Waiters;

use super::{
    counters::Counters, outcome::Lost, policy::QueuePolicy, reason::DropReason, ring::Ring,
    waits::Waits,
};
use crate::clock::{Clock, nanos};

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) items: usize,
    /// `usize::MAX` without a bound.
    pub(crate) bytes: usize,
}

/// What a queued sender waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) bytes: usize,
    /// Whether room was reserved for it when it was granted. If not, it must try again.
    pub(crate) reserved: bool,
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct State<T> {
    pub(crate) short: Short,
    pub(crate) ring: Ring<T>,
    pub(crate) limits: Limits,
    pub(crate) policy: QueuePolicy,
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) waits: Option<Waits>,
    /// The items in the batch of the receivers, at most: see the file `batch`.
    pub(crate) batched: usize,
    /// Whether a receive begins the next batch.
    pub(super) may_batch: bool,
    pub(crate) closed: bool,
    pub(crate) senders: Waiters<Want>,
    pub(crate) receivers: Waiters,
    /// Senders that were granted room and have not been polled since.
    pub(crate) granted_senders: usize,
    /// Receivers that were woken for an item and have not been polled since.
    pub(crate) granted_receivers: usize,
    /// Room of granted senders and of permits.
    pub(crate) reserved: Reserved,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reserved {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// Which sends and receives are short: see the file `short`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Short {
    /// A send is short while fewer items than this are queued.
    pub(super) items: u32,
    /// The low bits of the number of an item that gets a time stamp: its send is not short.
    pub(super) stamped: u16,
    /// The next receives that are short.
    pub(super) receives: u16,
}

impl<T> State<T> {
    /// Queued items.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.ring.len() + self.batched
    }

    /// Whether an item fits beside those that are queued and the room that is reserved.
    #[inline]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.len() + self.reserved.items < self.limits.items
            && bytes <= self.limits.bytes - self.ring.bytes() - self.reserved.bytes
    }

    /// Whether an item would fit if the queue were empty.
    #[inline]
    pub(crate) fn fits_beside_reserved(&self, bytes: usize) -> bool {
        self.reserved.items < self.limits.items && bytes <= self.limits.bytes - self.reserved.bytes
    }

    /// Reserves room for the first sender in the queue if it fits, and returns its waker.
    ///
    /// Performance: one sender at a time. It reserves room for the next one when it is polled, so
    /// a consumer that takes a thousand items wakes one sender and not a thousand (`streams`,
    /// `queue/block/4p`).
    #[inline]
    pub(crate) fn grant_sender(&mut self) -> Option<Waker> {
        if self.senders.is_empty() || self.granted_senders > 0 {
            return None;
        }
        let bytes = self.senders.first()?.bytes;
        if !self.fits(bytes) {
            return None;
        }
        self.reserve(bytes);
        self.granted_senders += 1;
        self.senders.first()?.reserved = true;
        self.senders.grant_first()
    }

    /// Wakes a receiver if there are more items than receivers on their way to them.
    #[inline]
    pub(crate) fn grant_receiver(&mut self) -> Option<Waker> {
        if self.receivers.is_empty() || self.granted_receivers >= self.ring.len() {
            return None;
        }
        self.granted_receivers += 1;
        self.receivers.grant_first()
    }

    #[inline]
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.reserved.items += 1;
        self.reserved.bytes += bytes;
    }

    #[inline]
    pub(crate) fn unreserve(&mut self, bytes: usize) {
        self.reserved.items -= 1;
        self.reserved.bytes -= bytes;
    }

    pub(crate) fn set_policy(&mut self, policy: QueuePolicy) {
        self.policy = policy;
        self.rng = policy.rng();
        if matches!(policy, QueuePolicy::DropExpired { .. }) {
            self.ring.stamp_all(self.clock.now());
        } else {
            self.ring.stamp_none(self.limits.bytes != usize::MAX);
        }
    }

    pub(crate) fn oldest_age(&self) -> Option<Duration> {
        let at = self.ring.oldest_stamp()?;
        Some(Duration::from_nanos(self.clock.now().saturating_sub(at)))
    }

    /// The counters, with those that follow from the ring.
    pub(crate) fn counted(&self) -> Counters {
        let mut counters = self.counters.clone();
        if self.ring.evicted > 0 {
            let (policy, reason) = (QueuePolicy::DropOldest, DropReason::Oldest);
            counters.lose(policy, reason, self.ring.evicted);
        }
        let all: u64 = counters.lost().map(|(.., count)| count).sum();
        let replaced = counters
            .lost()
            .filter(|(_, reason, _)| *reason == DropReason::Replaced);
        // Each item has a number of its own, but for those that replaced another.
        counters.sent = self.ring.numbers() + replaced.map(|(.., count)| count).sum::<u64>();
        counters.received = counters.sent - all - self.len() as u64;
        counters
    }

    /// Whether a queued sender or receiver may have to be granted.
    #[inline]
    pub(crate) fn may_grant(&self) -> bool {
        !self.receivers.is_empty() || (!self.senders.is_empty() && self.granted_senders == 0)
    }

    /// Whether no item will ever come.
    pub(crate) fn has_ended(&self) -> bool {
        self.closed && self.len() == 0 && self.reserved.items == 0
    }

    /// Wakes all receivers, for the end of the queue.
    pub(crate) fn grant_all_receivers(&mut self, wakers: &mut Vec<Waker>) {
        while !self.receivers.is_empty() {
            self.granted_receivers += 1;
            wakers.extend(self.receivers.grant_first());
        }
    }

    /// Wakes all senders without room: each tries again, under the policy now in force.
    pub(crate) fn send_again(&mut self, wakers: &mut Vec<Waker>) {
        while !self.senders.is_empty() {
            wakers.extend(self.senders.grant_first());
        }
    }

    /// Evicts the items that are older than the TTL, the oldest first.
    pub(crate) fn expire(&mut self, ttl: Duration, lost: &mut Lost<T>) {
        let before = self.clock.now().saturating_sub(nanos(ttl));
        while let Some(index) = self.ring.sent_by(before) {
            self.evict(index, DropReason::Expired, lost);
        }
    }

    pub(crate) fn evict_oldest(&mut self, reason: DropReason, lost: &mut Lost<T>) {
        if let Some(item) = self.ring.evict_oldest(reason) {
            self.counters.lose(self.policy, reason, 1);
            lost.push(item, reason);
        }
    }

    pub(crate) fn evict(&mut self, index: usize, reason: DropReason, lost: &mut Lost<T>) {
        if let Some(item) = self.ring.evict(index, reason) {
            self.counters.lose(self.policy, reason, 1);
            lost.push(item, reason);
        }
    }
}
