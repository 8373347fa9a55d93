//! The items that receivers have taken out of the ring together.
//!
//! A sender and a receiver that lock the same state move its cache line from processor to processor
//! for each item. So under `Block`, which loses no numbers, a receiver that finds items in the ring
//! takes all of them at once, by an exchange of two buffers, and receivers then share this batch under
//! a lock of its own. The faster the senders are, the larger are the batches.
//!
//! The batch is the oldest part of the queue. An operation that needs all items in one place puts it back
//! ([`Shared::lock`]). The locks are taken in one order: first that of the batch.

use std::{
    collections::VecDeque,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use super::{
    lock::{Guard, Lock},
    shared::Shared,
    state::State,
};
use crate::sync::{AtomicBool, AtomicU64};

/// Receives for each one that asks for the budget of its task.
///
/// In receives. A task has a budget of 128 such questions before it must yield, so a receiver that
/// never waits yields after 384 items. The question takes as long as half of a receive (`streams`,
/// `queue/block/1p`). `a_receiver_that_never_waits_lets_other_tasks_run` fails from 4 on.
const RECEIVES_PER_QUESTION: u32 = 3;

pub(super) type Slots<T> = VecDeque<Option<T>>;

/// What receivers write, on cache lines of their own.
#[repr(C, align(128))]
pub(super) struct Batch<T> {
    /// Whether receivers look here first. Only a hint: what is in the batch is known under its lock.
    active: AtomicBool,
    /// Receives until the next that asks for the budget of its task.
    unasked: AtomicU32,
    /// How many numbers have left the queue, received or lost. Together with those that were given to
    /// new items it is the length, which is read without a lock.
    left: AtomicU64,
    items: Lock<Slots<T>>,
}

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            unasked: AtomicU32::new(0),
            left: AtomicU64::new(0),
            items: Lock::new(VecDeque::new()),
        }
    }

    pub(super) fn set_active(&self, active: bool) {
        self.active.store(active, Relaxed);
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn left(&self) -> u64 {
        self.left.load(Acquire)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn set_left(&self, left: u64) {
        self.left.store(left, Release);
    }
}

impl<T> Shared<T> {
    /// Takes the oldest item from the batch, or begins the next batch. Returns the lock of the state,
    /// and leaves no batch, if a receive is not short.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn take_from_batch(&self) -> Result<T, Guard<'_, State<T>>> {
        let mut items = self.batch.items.lock();
        let left = self.batch.left.load(Relaxed);
        let item = match items.pop_front().flatten() {
            Some(item) => item,
            None => self.next_batch(&mut items)?,
        };
        self.batch.set_left(left + 1);
        Ok(item)
    }

    /// Takes up to `limit` items, which is not 0, from the batch and from the next one, and returns how
    /// many. Returns the lock of the state, and leaves no batch, if a receive is not short.
    pub(super) fn take_many_from_batch(
        &self,
        into: &mut Vec<T>,
        limit: usize,
    ) -> Result<usize, Guard<'_, State<T>>> {
        let mut items = self.batch.items.lock();
        let before = into.len();
        let taken = items.len().min(limit);
        into.extend(items.drain(..taken).flatten());
        if taken < limit {
            match self.next_batch(&mut items) {
                Ok(first) => {
                    into.push(first);
                    let more = items.len().min(limit - taken - 1);
                    into.extend(items.drain(..more).flatten());
                }
                Err(state) if taken == 0 => return Err(state),
                Err(_) => {}
            }
        }
        let taken = into.len() - before;
        self.batch
            .set_left(self.batch.left.load(Relaxed) + taken as u64);
        Ok(taken)
    }

    /// Takes all items of the ring as the next batch, and the first of them.
    #[inline(never)]
    fn next_batch(&self, items: &mut Slots<T>) -> Result<T, Guard<'_, State<T>>> {
        let mut state = self.lock_short();
        state.batched = 0;
        if state.may_batch {
            state.ring.exchange(items);
            if let Some(first) = items.pop_front().flatten() {
                state.batched = items.len();
                state.allow_short_sends();
                return Ok(first);
            }
        }
        Err(state)
    }

    /// Puts the batch back into the ring.
    #[cold]
    #[inline(never)]
    pub(super) fn lock_and_put_back(&self) -> Guard<'_, State<T>> {
        let mut items = self.batch.items.lock();
        let mut state = self.lock_short();
        state.ring.put_back(&mut items);
        state.batched = 0;
        state
    }

    /// Brings up to date how many items are in the batch. Receivers may take some at the same time,
    /// so these are at most as many.
    #[inline]
    pub(super) fn count_batch(&self, state: &mut State<T>) {
        if state.batched > 0 {
            state.batched = (state.ring.next() - self.batch.left()) as usize;
        }
    }

    /// Counts a receive. Returns whether it must ask for the budget of its task.
    ///
    /// Receivers that run at the same time may miscount, which moves a question by some receives.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn must_ask(&self) -> bool {
        let unasked = &self.batch.unasked;
        let left = unasked.load(Relaxed);
        if left > 0 {
            unasked.store(left - 1, Relaxed);
        }
        left == 0
    }

    /// Notes that a receive has asked for the budget of its task.
    #[inline]
    pub(crate) fn has_asked(&self) {
        self.batch.unasked.store(RECEIVES_PER_QUESTION - 1, Relaxed);
    }
}
