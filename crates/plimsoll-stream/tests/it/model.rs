//! Random operations on a queue and on a plain `VecDeque`, which must agree.

mod agree;
mod steps;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use plimsoll_stream::{BoundedQueue, Delivery, DropReason, QueuePolicy};
use proptest::prelude::*;

use self::{
    agree::{agree, described, run},
    steps::{aging_step, needs_no_function, policy, step, without_functions},
};

const CAPACITY: usize = 6;
const MAX_BYTES: usize = 100;
const TTL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Item {
    id: u64,
    weight: usize,
    level: usize,
    key: u8,
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    seq: u64,
    item: Item,
    /// In seconds; `None` without a time stamp.
    at: Option<u64>,
}

/// The specification, written without regard to cost.
#[derive(Debug, Default)]
struct Model {
    queue: VecDeque<Queued>,
    /// Lost numbers that no consumer has seen, in order.
    unseen: Vec<(u64, DropReason)>,
    /// The number of the item that was sent last with a key.
    latest: HashMap<u8, u64>,
    next: u64,
    now: u64,
    policy: QueuePolicy,
    reserved: Vec<usize>,
    closed: bool,
    sent: u64,
    received: u64,
    dropped: u64,
    expired: u64,
    /// One item of this many gets a time stamp.
    every: Option<u64>,
    /// Items for which that was decided.
    drawn: u64,
    /// Received items whose wait was measured.
    measured: u64,
}

type Lost = Vec<(Item, DropReason)>;

impl Model {
    fn bytes(&self) -> usize {
        let queued: usize = self.queue.iter().map(|queued| queued.item.weight).sum();
        queued + self.reserved.iter().sum::<usize>()
    }

    fn fits(&self, weight: usize) -> bool {
        self.queue.len() + self.reserved.len() < CAPACITY && self.bytes() + weight <= MAX_BYTES
    }

    fn lose(&mut self, index: usize, reason: DropReason) -> (Item, DropReason) {
        let queued = self.queue.remove(index).unwrap();
        self.note(queued.seq, reason);
        (queued.item, reason)
    }

    fn note(&mut self, seq: u64, reason: DropReason) {
        let at = self.unseen.partition_point(|(other, _)| *other < seq);
        self.unseen.insert(at, (seq, reason));
        match reason {
            DropReason::Expired => self.expired += 1,
            _ => self.dropped += 1,
        }
    }

    fn number(&mut self) -> u64 {
        self.sent += 1;
        self.next += 1;
        self.next - 1
    }

    fn stamp(&mut self) -> Option<u64> {
        let measured = self.every.is_some_and(|every| self.drawn % every == 0);
        self.drawn += 1;
        let expires = matches!(self.policy, QueuePolicy::DropExpired { .. });
        (measured || expires).then_some(self.now)
    }

    fn take(&mut self) -> Option<Queued> {
        let first = self.queue.pop_front()?;
        self.received += 1;
        self.measured += u64::from(first.at.is_some() && self.every.is_some());
        Some(first)
    }

    fn push(&mut self, item: Item) -> u64 {
        let (seq, at) = (self.number(), self.stamp());
        self.latest.insert(item.key, seq);
        self.queue.push_back(Queued { seq, item, at });
        seq
    }

    /// Expires each item by its own age, the oldest first.
    fn expire(&mut self) -> Lost {
        let mut lost = Vec::new();
        loop {
            let ages = self.queue.iter().enumerate();
            let ages = ages.filter_map(|(index, queued)| Some((queued.at?, index)));
            match ages.min() {
                Some((at, index)) if self.now - at >= TTL.as_secs() => {
                    lost.push(self.lose(index, DropReason::Expired));
                }
                _ => return lost,
            }
        }
    }

    /// The lowest level, the newest item of it.
    fn lowest(&self) -> Option<usize> {
        let lowest = self.queue.iter().map(|queued| queued.item.level).min()?;
        self.queue
            .iter()
            .rposition(|queued| queued.item.level == lowest)
    }

    /// What a send must return. `drawn` are the items that a random policy evicted.
    fn send(&mut self, item: Item, drawn: &[Item]) -> Result<Sent2, &'static str> {
        if self.closed {
            return Err("closed");
        }
        if item.weight > MAX_BYTES {
            return Err("too large");
        }
        if self.policy == QueuePolicy::BLOCK && !self.fits(item.weight) {
            return Err("full");
        }
        Ok(self.place(item, drawn))
    }

    fn place(&mut self, item: Item, drawn: &[Item]) -> Sent2 {
        let mut lost = Vec::new();
        if self.policy == QueuePolicy::Coalesce {
            loop {
                let latest = self.latest.get(&item.key);
                let mut queued = self.queue.iter();
                let Some(at) = queued.position(|queued| Some(&queued.seq) == latest) else {
                    break;
                };
                let old = self.queue[at].item;
                if self.bytes() - old.weight + item.weight <= MAX_BYTES {
                    self.sent += 1;
                    self.dropped += 1;
                    let (seq, stamp) = (self.queue[at].seq, self.stamp());
                    self.queue[at] = Queued {
                        seq,
                        item,
                        at: stamp,
                    };
                    lost.push((old, DropReason::Replaced));
                    return Sent2 { seq, lost };
                }
                if self.reserved.len() == CAPACITY
                    || self.reserved.iter().sum::<usize>() + item.weight > MAX_BYTES
                {
                    break;
                }
                lost.push(self.lose(0, DropReason::Oldest));
            }
        }
        let reserved: usize = self.reserved.iter().sum();
        let possible = self.reserved.len() < CAPACITY && reserved + item.weight <= MAX_BYTES;
        let mut drop_as = DropReason::Newest;
        if possible && !self.fits(item.weight) {
            match self.policy {
                QueuePolicy::DropOldest | QueuePolicy::Coalesce => {
                    while !self.fits(item.weight) {
                        lost.push(self.lose(0, DropReason::Oldest));
                    }
                }
                QueuePolicy::DropRandom { .. } => {
                    for drawn in drawn {
                        assert!(!self.fits(item.weight), "one eviction too many");
                        let mut queued = self.queue.iter();
                        let at = queued.position(|queued| queued.item == *drawn).unwrap();
                        lost.push(self.lose(at, DropReason::Random));
                    }
                }
                QueuePolicy::DropLowestPriority => {
                    drop_as = DropReason::LowestPriority;
                    let stays = |queued: &&Queued| queued.item.level >= item.level;
                    let stay: Vec<_> = self.queue.iter().filter(stays).collect();
                    let bytes: usize = stay.iter().map(|queued| queued.item.weight).sum();
                    if stay.len() + self.reserved.len() < CAPACITY
                        && bytes + reserved + item.weight <= MAX_BYTES
                    {
                        while !self.fits(item.weight) {
                            let at = self.lowest().unwrap();
                            lost.push(self.lose(at, DropReason::LowestPriority));
                        }
                    }
                }
                QueuePolicy::DropExpired { .. } => lost.extend(self.expire()),
                _ => {}
            }
        }
        if self.fits(item.weight) {
            let seq = self.push(item);
            return Sent2 { seq, lost };
        }
        let seq = self.number();
        self.note(seq, drop_as);
        lost.push((item, drop_as));
        Sent2 { seq, lost }
    }

    /// The next item; gaps before it are no longer seen.
    fn recv(&mut self) -> Option<Item> {
        self.recv_many(1).pop()
    }

    /// Up to `limit` items, none of which has expired.
    fn recv_many(&mut self, limit: usize) -> Vec<Item> {
        if matches!(self.policy, QueuePolicy::DropExpired { .. }) {
            self.expire();
        }
        std::iter::from_fn(|| self.next_item())
            .take(limit)
            .collect()
    }

    fn next_item(&mut self) -> Option<Item> {
        let Some(first) = self.take() else {
            self.unseen.clear();
            return None;
        };
        self.unseen.retain(|(seq, _)| *seq > first.seq);
        Some(first.item)
    }

    /// Checks a delivery.
    fn check(&mut self, delivery: Option<Delivery<Item>>) -> Result<(), TestCaseError> {
        if matches!(self.policy, QueuePolicy::DropExpired { .. }) {
            self.expire();
        }
        let first = self.queue.front().map(|queued| queued.seq);
        let gap_first = self
            .unseen
            .first()
            .filter(|(seq, _)| first.is_none_or(|of| *seq < of));
        match (delivery, gap_first) {
            (Some(Delivery::Gap(gap)), Some((seq, _))) => {
                prop_assert_eq!(gap.from, *seq);
                let reported = self.unseen.drain(..gap.count() as usize);
                for (expected, (seq, reason)) in (gap.from..=gap.to).zip(reported) {
                    prop_assert_eq!(expected, seq);
                    let agrees = [reason, DropReason::Several].contains(&gap.reason);
                    prop_assert!(agrees, "{:?} for {:?}", gap.reason, reason);
                }
            }
            (Some(Delivery::Item { seq, item }), None) => {
                let queued = self.take().unwrap();
                prop_assert_eq!((queued.seq, queued.item), (seq, item));
            }
            (None, None) => prop_assert!(self.queue.is_empty()),
            other => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }
}

/// What a send returned.
#[derive(Debug, PartialEq)]
struct Sent2 {
    seq: u64,
    lost: Lost,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn sent_is_received_dropped_expired_or_queued_as_in_the_model(
        first in policy(),
        every in prop::option::of(1_u32..5),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        run(agree(described(), first, every, steps))?;
    }

    #[test]
    fn items_of_mixed_ages_expire_as_in_the_model(
        every in prop::option::of(1_u32..5),
        steps in prop::collection::vec(aging_step(), 0..120),
    ) {
        run(agree(described(), QueuePolicy::Coalesce, every, steps))?;
    }

    #[test]
    fn a_queue_of_plain_items_behaves_as_in_the_model(
        first in policy().prop_map(needs_no_function),
        every in prop::option::of(1_u32..5),
        steps in prop::collection::vec(step(), 0..120).prop_map(without_functions),
    ) {
        run(agree(BoundedQueue::builder(CAPACITY), first, every, steps))?;
    }
}
