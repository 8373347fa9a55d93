//! The queue as its users see it.

use std::{fmt, sync::Arc};

use super::{
    error::{InvalidQueue, ReserveError, SendError},
    outcome::Sent,
    permit::{Permit, Reserve},
    policy::QueuePolicy,
    receiver::{Recv, RecvDelivery, RecvMany},
    sender::SendItem,
    shared::Shared,
    state::State,
};

/// An async queue with bounds in items and bytes, and a policy for when it is full.
///
/// Any number of tasks send and receive. Clones share the queue; it does not close when a clone is
/// dropped, see [`close`](Self::close) and [`CloseOnDrop`](crate::CloseOnDrop). Each item is received
/// once, in the order of the sends.
///
/// All methods are short: one or two locks that are never held while code of the caller runs or a
/// task waits. See the [crate's docs](crate) for examples, cancellation and cost.
pub struct BoundedQueue<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> BoundedQueue<T> {
    pub(crate) fn with(shared: Shared<T>) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sends an item; under [`QueuePolicy::Block`] it waits until the item fits.
    ///
    /// Ready with what became of the item, and with the items that it displaced. The functions that
    /// were given at construction are called at once, in this call.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the item: the queue is closed, it was full for the policy's timeout, or
    /// the item alone exceeds the bound in bytes.
    ///
    /// # Cancellation
    ///
    /// The future owns the item until it is ready. Dropping it drops the item, and the queue is as
    /// if there had been no send. To keep the item, use [`reserve`](Self::reserve).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub fn send(&self, item: T) -> SendItem<'_, T> {
        SendItem::new(&self.shared, item)
    }

    /// Sends an item without waiting.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and [`SendError::Full`] where that would wait.
    pub fn try_send(&self, item: T) -> Result<Sent<T>, SendError<T>> {
        let about = self.shared.functions.about(&item);
        let mut state = self.shared.lock_short();
        if state.may_send_short() {
            return Ok(self.shared.send_short(state, item));
        }
        if state.may_evict_short() {
            return Ok(self.shared.evict_short(state, item));
        }
        self.shared.count_batch(&mut state);
        let plan = state.plan(about.weight);
        self.shared.carry_out(state.into(), plan, item, &about)
    }

    /// Waits for room for one item, under every policy, and reserves it.
    ///
    /// The room counts as used until the permit sends or is dropped. In a queue with a bound in
    /// bytes, use [`reserve_bytes`](Self::reserve_bytes).
    ///
    /// # Errors
    ///
    /// [`ReserveError::Closed`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses only the place among the waiting senders.
    pub fn reserve(&self) -> Reserve<'_, T> {
        self.reserve_bytes(0)
    }

    /// Waits for room for one item of up to `bytes`, and reserves it.
    ///
    /// # Errors
    ///
    /// [`ReserveError::Closed`], or [`ReserveError::TooLarge`] above the bound in bytes.
    ///
    /// # Cancellation
    ///
    /// As for [`reserve`](Self::reserve).
    pub fn reserve_bytes(&self, bytes: usize) -> Reserve<'_, T> {
        Reserve::new(&self.shared, bytes)
    }

    /// Reserves room for one item of up to `bytes` without waiting.
    ///
    /// # Errors
    ///
    /// As for [`reserve_bytes`](Self::reserve_bytes), and [`ReserveError::Full`] where that would
    /// wait.
    pub fn try_reserve(&self, bytes: usize) -> Result<Permit<'_, T>, ReserveError> {
        let mut state = self.shared.lock();
        let reserved = state.try_reserve(bytes);
        state.allow_short();
        drop(state);
        reserved?;
        Ok(Permit::new(&self.shared, bytes))
    }

    /// Receives the oldest item, and waits for one if the queue is empty. `None` at the end.
    ///
    /// The end comes when the queue is closed, empty, and no permit is left. In a task of tokio, a
    /// receiver that never waits yields to other tasks after some hundred items, as all kinds of
    /// receivers do. Gaps are not reported: see [`recv_delivery`](Self::recv_delivery).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no item.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub fn recv(&self) -> Recv<'_, T> {
        Recv::new(&self.shared)
    }

    /// Receives the oldest item with its sequence number, or the gap in front of it.
    ///
    /// A queue with one consumer that receives in this way only reports each lost sequence number in exactly
    /// one gap. Several consumers share the gaps, as they share the items.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no item and no gap.
    pub fn recv_delivery(&self) -> RecvDelivery<'_, T> {
        RecvDelivery::new(&self.shared)
    }

    /// Appends up to `limit` of the oldest items to `into`, and waits if the queue is empty.
    ///
    /// Ready with the number of items: 0 at the end, or when `limit` is 0. All items are taken at once, so
    /// an item takes less time than with [`recv`](Self::recv) in a queue that is not empty.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no item.
    pub fn recv_many<'a>(&'a self, into: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T> {
        RecvMany::new(&self.shared, into, limit)
    }

    /// Receives the oldest item without waiting. Returns `None` when the queue is empty.
    pub fn try_recv(&self) -> Option<T> {
        let mut state = match self.shared.take_short() {
            Ok(item) => return Some(item),
            Err(state) => state,
        };
        state.forbid_short();
        if state.expires() {
            return self.shared.take_unexpired(state.into(), State::take_item);
        }
        let taken = state.take_item();
        self.shared.unlock(state.into());
        taken
    }

    /// Receives all queued items at once, oldest first.
    ///
    /// For a shutdown: [`close`](Self::close), and then `drain` what no consumer will take.
    pub fn drain(&self) -> Vec<T> {
        let mut drained = Vec::with_capacity(self.shared.len());
        let state = self.shared.lock_whole();
        self.shared
            .take_unexpired(state, |state| state.take_many(&mut drained, usize::MAX));
        drained
    }

    /// Closes the queue for new items. Returns whether it was open.
    ///
    /// Queued items can still be received, and permits can still send. Senders that wait fail with
    /// [`SendError::Closed`], apart from one whose room was already reserved.
    pub fn close(&self) -> bool {
        let mut wakers = Vec::new();
        let mut state = self.shared.lock_whole();
        let was_open = !state.closed;
        state.closed = true;
        state.send_again(&mut wakers);
        self.shared.unlock(state);
        wakers.into_iter().for_each(std::task::Waker::wake);
        was_open
    }

    /// Returns whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.shared.lock_short().closed
    }

    /// Returns the policy in force.
    pub fn policy(&self) -> QueuePolicy {
        self.shared.lock_short().policy
    }

    /// Changes the policy. Queued items stay, and senders that wait try again under the new policy.
    ///
    /// Under [`QueuePolicy::DropExpired`] the age of items without a time stamp counts from now. That
    /// change takes time in proportion to the queued items, and sorts those that are behind a
    /// younger one.
    ///
    /// # Errors
    ///
    /// As for [`BoundedQueueBuilder::build`](crate::BoundedQueueBuilder::build). On error nothing changes.
    pub fn set_policy(&self, policy: QueuePolicy) -> Result<(), InvalidQueue> {
        self.shared.functions.check(policy)?;
        let mut wakers = Vec::new();
        let mut state = self.shared.lock_whole();
        state.set_policy(policy);
        self.shared.batch.set_active(state.has_batches());
        state.send_again(&mut wakers);
        self.shared.unlock(state);
        wakers.into_iter().for_each(std::task::Waker::wake);
        Ok(())
    }

    /// Returns whether the policy can be set: its functions were given at construction.
    #[cfg(feature = "metrics")]
    pub(crate) fn allows(&self, policy: QueuePolicy) -> bool {
        self.shared.functions.check(policy).is_ok()
    }
}

impl<T> Clone for BoundedQueue<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
