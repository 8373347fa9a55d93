//! What all clones of a queue share: the lock around its state.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    task::Waker,
};

use super::{
    batch::Batch,
    error::SendError,
    functions::Functions,
    lock::{Guard, Lock},
    locked::Locked,
    outcome::{Lost, Sent},
    plan::{About, Plan},
    state::{Limits, State},
};

/// Performance: what each operation writes, the length, the lock and the begin of the state, is on
/// one cache line (`streams`, `queue/block/4p`).
#[repr(C, align(64))]
pub(crate) struct Shared<T> {
    /// A copy of how many numbers were given to new items: see [`len`](Self::len).
    entered: AtomicU64,
    state: Lock<State<T>>,
    /// A copy of the bytes.
    bytes: AtomicUsize,
    pub(crate) limits: Limits,
    pub(crate) functions: Functions<T>,
    pub(super) batch: Batch<T>,
}

impl<T> Shared<T> {
    pub(crate) fn new(state: State<T>, functions: Functions<T>) -> Self {
        let batch = Batch::new();
        batch.set_active(state.has_batches());
        Self {
            limits: state.limits,
            state: Lock::new(state),
            entered: AtomicU64::new(0),
            batch,
            bytes: AtomicUsize::new(0),
            functions,
        }
    }

    /// Locks the state for an operation that takes no item but may change anything else, up to
    /// [`unlock`](Self::unlock). How many items are in the batch is exact.
    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        let state = self.lock_short();
        let mut locked = if state.batched == 0 {
            Locked::from(state)
        } else {
            drop(state);
            self.lock_with_batch()
        };
        locked.forbid_short();
        locked
    }

    #[cold]
    #[inline(never)]
    fn lock_with_batch(&self) -> Locked<'_, T> {
        let batch = self.batch.taken.lock();
        Locked::with_batch(self.lock_short(), batch)
    }

    /// Locks the state with all items in it, for an operation that may change anything.
    #[inline]
    pub(crate) fn lock_whole(&self) -> Locked<'_, T> {
        let mut locked = self.lock();
        locked.put_back();
        locked
    }

    /// Locks the state to read it, or for a short operation. There may be items in the batch.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn lock_short(&self) -> Guard<'_, State<T>> {
        self.state.lock()
    }

    /// Ends an operation: grants what has become free, unlocks, and then wakes.
    #[inline]
    pub(crate) fn unlock(&self, mut state: Locked<'_, T>) {
        self.publish(&state);
        // Performance: out of line, since most often nothing is granted (`streams`,
        // `queue/push+pop` and `queue/block/4p`).
        if state.may_grant() {
            Self::grant(state);
        } else {
            state.allow_short();
        }
    }

    /// Copies the figures that are read without the lock.
    #[inline]
    fn publish(&self, state: &State<T>) {
        self.set_entered(state);
        if state.batched == 0 {
            self.set_left(state);
        }
        if self.limits.bytes != usize::MAX {
            self.bytes.store(state.ring.bytes(), Relaxed);
        }
    }

    /// Publishes how many numbers were given to new items.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn set_entered(&self, state: &State<T>) {
        self.entered.store(state.ring.numbers(), Relaxed);
    }

    /// Publishes how many numbers have left, when there is no batch.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn set_left(&self, state: &State<T>) {
        let left = state.ring.numbers() - state.ring.len() as u64;
        self.batch.set_left(left);
    }

    #[inline(never)]
    fn grant(mut state: Locked<'_, T>) {
        let sender = state.grant_sender();
        let receiver = state.grant_receiver();
        let mut rest = Vec::new();
        if state.has_ended() {
            state.grant_all_receivers(&mut rest);
        }
        state.note_senders();
        state.allow_short();
        drop(state);
        // Outside of the lock: a waker is code of the caller, and a woken task may run at once.
        if let Some(sender) = sender {
            sender.wake();
        }
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        rest.into_iter().for_each(Waker::wake);
    }

    /// Does what was planned for the item, and ends the operation.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn carry_out(
        &self,
        mut state: Locked<'_, T>,
        plan: Plan,
        item: T,
        about: &About,
    ) -> Result<Sent<T>, SendError<T>> {
        match plan {
            Plan::Queue => {
                let seq = state.push(item, about);
                self.unlock(state);
                Ok(Sent::queued(seq, Lost::new()))
            }
            Plan::EvictOldest => {
                // Performance: as many items as before, so there is nothing to publish and nothing
                // to grant (`streams`, `queue/drop_oldest/full`).
                let sent = state.evict_one(item, about);
                state.allow_short_evictions();
                drop(state);
                self.functions.report(&sent.lost);
                Ok(sent)
            }
            _ => self.carry_out_rest(state, plan, item, about),
        }
    }

    #[inline(never)]
    fn carry_out_rest(
        &self,
        mut state: Locked<'_, T>,
        plan: Plan,
        item: T,
        about: &About,
    ) -> Result<Sent<T>, SendError<T>> {
        // Performance: one value that is returned everywhere, so that it is not moved once more
        // (`streams`, `queue/drop_newest/full`).
        let sent = state.offer(plan, item, about);
        match &sent {
            Ok(sent) => {
                self.unlock(state);
                self.functions.report(&sent.lost);
            }
            Err(error) => {
                state.counters.fail(error);
                state.allow_short();
            }
        }
        sent
    }

    /// Evicts the expired items, takes what `take` finds, and ends the operation.
    #[inline(never)]
    pub(crate) fn take_unexpired<R>(
        &self,
        mut state: Locked<'_, T>,
        take: impl FnOnce(&mut State<T>) -> R,
    ) -> R {
        let expired = state.expired();
        let taken = take(&mut state);
        self.unlock(state);
        self.functions.report(&expired);
        taken
    }

    /// Queued items, without the lock.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // In this order, what enters or leaves meanwhile makes it larger, and never less than 0.
        let left = self.batch.left();
        let entered = self.entered.load(Relaxed);
        let len = usize::try_from(entered.saturating_sub(left)).unwrap_or(usize::MAX);
        len.min(self.limits.items)
    }

    /// The sum of the weights of the queued items, without the lock.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// The share of the tighter bound that is in use: 0 to 1.
    pub(crate) fn load(&self) -> f64 {
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        share(self.len(), self.limits.items).max(share(self.bytes(), self.limits.bytes))
    }
}
