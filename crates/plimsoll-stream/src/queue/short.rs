//! Sends and receives that need no decision.
//!
//! Most operations on a queue that is not full move one item and decide nothing: there is room, no
//! task waits, no item has a weight, a level, a key or a time stamp, and no number was lost.
//! Whether that holds changes seldom, so it is worked out at the end of each other operation
//! ([`State::allow_short`]). A short operation compares some numbers, moves the item and unlocks.
//!
//! A send to a full queue that evicts the oldest item is short, too, when the operation before it was
//! such a send: it lengthens the gap that is already in front.
//!
//! Each operation that is not short locks with [`Shared::lock`], which forbids short ones; the end of
//! the operation, [`Shared::unlock`], allows them again. So an operation that ends in another way
//! costs time, and never breaks a rule. A send that turns out not to be short has changed nothing, and
//! [`Shared::carry_out`] allows or forbids at its end.

use super::{
    lock::Guard,
    outcome::{Lost, Sent},
    policy::QueuePolicy,
    shared::Shared,
    state::State,
};

impl<T> State<T> {
    /// Until the next [`allow_short`](Self::allow_short) no operation is short.
    #[inline]
    pub(crate) fn forbid_short(&mut self) {
        self.short.items = 0;
        self.ring.evicts = false;
        self.forbid_short_receives();
    }

    /// Until the next [`allow_short`](Self::allow_short) no receive is short.
    #[inline]
    pub(crate) fn forbid_short_receives(&mut self) {
        self.short.receives = 0;
        self.may_batch = false;
    }

    /// Works out which operations are short, at the end of one that is not.
    #[inline]
    pub(crate) fn allow_short(&mut self) {
        self.forbid_short();
        if self.may_grant() || !self.ring.is_plain() {
            return;
        }
        self.allow_short_sends();
        if let Some(waits) = &self.waits {
            self.short.stamped = waits.next() as u16;
        }
        let receives = self.ring.plain_items();
        if receives > 0 && self.has_batches() {
            self.may_batch = true;
        } else {
            self.short.receives = receives;
        }
    }

    /// Works out up to which length of the ring a send is short.
    #[inline]
    pub(super) fn allow_short_sends(&mut self) {
        // While there is room, all policies for plain items queue the new one.
        if !self.closed {
            let items = self.limits.items - self.reserved.items - self.batched;
            self.short.items = u32::try_from(items).unwrap_or(u32::MAX);
        }
    }

    /// Whether receivers take the items in batches: no number is lost, and no item has a time stamp.
    #[inline]
    pub(super) fn has_batches(&self) -> bool {
        matches!(self.policy, QueuePolicy::Block { .. })
            && self.waits.is_none()
            && self.ring.may_be_plain()
    }

    /// Works out whether sends that evict are short, at the end of one that was not.
    ///
    /// The queue stays full, since receives are not short while there is a gap in front. Each such
    /// send lengthens that gap by the item that it evicts.
    #[inline]
    pub(crate) fn allow_short_evictions(&mut self) {
        self.ring.evicts = self.waits.is_none() && self.ring.may_evict_plain();
    }

    /// Whether a send that evicts the oldest item is short.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn may_evict_short(&self) -> bool {
        self.ring.evicts
    }

    /// Whether a send is short.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn may_send_short(&self) -> bool {
        self.ring.has_room(self.short.items as usize)
            && self.ring.numbers() as u16 != self.short.stamped
    }

    /// Takes the oldest item, if that is short.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn take_short(&mut self) -> Option<T> {
        if self.short.receives == 0 {
            return None;
        }
        let item = self.ring.pop_plain()?;
        self.short.receives -= 1;
        Some(item)
    }
}

impl<T> Shared<T> {
    /// Ends a send that is short.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn send_short(&self, mut state: Guard<'_, State<T>>, item: T) -> Sent<T> {
        let seq = state.ring.push_plain(item);
        self.set_entered(&state);
        drop(state);
        Sent::queued(seq, Lost::new())
    }

    /// Ends a send that evicts and is short: as many items are queued as before.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn evict_short(&self, mut state: Guard<'_, State<T>>, item: T) -> Sent<T> {
        // Performance: the evicted item is moved once, into the value that is returned (`streams`,
        // `queue/drop_oldest/full`).
        let sent = Sent::queued(state.ring.numbers(), state.ring.evict_plain());
        state.ring.push_plain(item);
        drop(state);
        self.functions.report(&sent.lost);
        sent
    }

    /// Takes the oldest item, if that is short. Returns the lock of the state if not.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn take_short(&self) -> Result<T, Guard<'_, State<T>>> {
        if self.batch.is_active() {
            return self.take_from_batch();
        }
        let mut state = self.lock_short();
        let Some(item) = state.take_short() else {
            return Err(state);
        };
        self.set_left(&state);
        Ok(item)
    }
}
