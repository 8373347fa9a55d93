//! Receives from the batch.

use std::sync::atomic::Ordering::Relaxed;

use super::{
    batch::{Slots, Taken},
    lock::Guard,
    shared::Shared,
    state::State,
};

/// Receives for each one that asks for the budget of its task.
///
/// In receives. A task has a budget of 128 such questions before it must yield, so a receiver that
/// never waits yields after 384 items. The question takes as long as half of a receive (`streams`,
/// `queue/block/1p`). `a_receiver_that_never_waits_lets_other_tasks_run` fails from 4 on.
const RECEIVES_PER_QUESTION: u32 = 3;

impl<T> Shared<T> {
    /// Takes the oldest item from the batch, or begins the next batch. Returns the lock of the state,
    /// and leaves no batch, if a receive is not short.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn take_from_batch(&self) -> Result<T, Guard<'_, State<T>>> {
        let mut taken = self.batch.taken.lock();
        let left = self.batch.left();
        let item = match taken.items.pop_front().flatten() {
            Some(item) => item,
            None => self.next_batch(&mut taken.items)?,
        };
        self.batch.set_left(left + 1);
        if taken.owes_grant {
            self.grant_owed(taken);
        }
        Ok(item)
    }

    /// Takes up to `limit` items, which is not 0, from the batch and from the next one, and returns how
    /// many. Returns the lock of the state, and leaves no batch, if a receive is not short.
    pub(super) fn take_many_from_batch(
        &self,
        into: &mut Vec<T>,
        limit: usize,
    ) -> Result<usize, Guard<'_, State<T>>> {
        let mut batch = self.batch.taken.lock();
        let items = &mut batch.items;
        let before = into.len();
        let taken = items.len().min(limit);
        into.extend(items.drain(..taken).flatten());
        if taken < limit {
            match self.next_batch(items) {
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
        self.batch.set_left(self.batch.left() + taken as u64);
        if batch.owes_grant {
            self.grant_owed(batch);
        }
        Ok(taken)
    }

    /// Takes all items of the ring as the next batch, and the first of them.
    #[inline(never)]
    fn next_batch(&self, items: &mut Slots<T>) -> Result<T, Guard<'_, State<T>>> {
        let mut state = self.lock_short();
        state.batched = 0;
        // An empty ring keeps its memory.
        if state.may_batch && state.ring.len() > 0 {
            state.ring.exchange(items);
            if let Some(first) = items.pop_front().flatten() {
                state.batched = items.len();
                state.allow_short_sends();
                return Ok(first);
            }
        }
        Err(state)
    }

    /// Grants a sender that waits the room of the item that was taken.
    #[cold]
    #[inline(never)]
    fn grant_owed(&self, mut taken: Guard<'_, Taken<T>>) {
        taken.owes_grant = false;
        let mut state = self.lock_short();
        state.batched = taken.items.len();
        let sender = state.grant_sender();
        state.allow_short();
        drop(state);
        drop(taken);
        // Outside of the locks: a waker is code of the caller.
        if let Some(sender) = sender {
            sender.wake();
        }
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
