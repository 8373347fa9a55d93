//! What all clones of a queue share: the lock around its state, and the caller's functions.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
};

use plimsoll_core::Priority;

use super::{
    admit::{About, Plan},
    outcome::{Lost, SendError, Sent},
    reason::DropReason,
    state::{Limits, State},
};
use crate::{
    key_hash::KeyHash,
    sync::{Mutex, MutexGuard},
};

type OnItem<T, R> = Option<Box<dyn Fn(&T) -> R + Send + Sync>>;
type OnDrop<T> = Option<Box<dyn Fn(&T, DropReason) + Send + Sync>>;

/// The functions that a caller gave at construction.
pub(crate) struct Functions<T> {
    /// Whether there is a weight, a priority or a key.
    pub(crate) describe: bool,
    pub(crate) weight: OnItem<T, usize>,
    pub(crate) priority: OnItem<T, Priority>,
    pub(crate) key: OnItem<T, KeyHash>,
    pub(crate) on_drop: OnDrop<T>,
}

/// Performance: what each operation writes, the length, the lock and the begin of the state, is on
/// one cache line (`streams`, `queue/block/4p`).
#[repr(C, align(64))]
pub(crate) struct Shared<T> {
    /// A copy of the length, so that a load is read without the lock.
    len: AtomicUsize,
    state: Mutex<State<T>>,
    /// A copy of the bytes.
    bytes: AtomicUsize,
    pub(crate) limits: Limits,
    pub(crate) functions: Functions<T>,
}

impl<T> Shared<T> {
    pub(crate) fn new(state: State<T>, functions: Functions<T>) -> Self {
        Self {
            limits: state.limits,
            state: Mutex::new(state),
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            functions,
        }
    }

    /// Locks the state. No code of the caller runs under the lock, so it is never poisoned.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an operation: grants what has become free, unlocks, and then wakes.
    #[inline]
    pub(crate) fn unlock(&self, state: MutexGuard<'_, State<T>>) {
        self.len.store(state.ring.len(), Relaxed);
        if self.limits.bytes != usize::MAX {
            self.bytes.store(state.ring.bytes(), Relaxed);
        }
        // Performance: out of line, since most often nothing is granted (`streams`, `queue/push+pop`).
        if state.may_grant() {
            Self::grant(state);
        }
    }

    #[inline(never)]
    fn grant(mut state: MutexGuard<'_, State<T>>) {
        let sender = state.grant_sender();
        let receiver = state.grant_receiver();
        let mut rest = Vec::new();
        if state.has_ended() {
            state.grant_all_receivers(&mut rest);
        }
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
        mut state: MutexGuard<'_, State<T>>,
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
                let sent = state.evict_one(item, about);
                self.unlock(state);
                self.report(&sent.lost);
                Ok(sent)
            }
            _ => self.carry_out_rest(state, plan, item, about),
        }
    }

    #[inline(never)]
    fn carry_out_rest(
        &self,
        mut state: MutexGuard<'_, State<T>>,
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
                self.report(&sent.lost);
            }
            Err(error) => state.counters.fail(error),
        }
        sent
    }

    /// Evicts the expired items, takes what `take` finds, and ends the operation.
    #[inline(never)]
    pub(crate) fn take_unexpired<R>(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        take: impl FnOnce(&mut State<T>) -> R,
    ) -> R {
        let expired = state.expired();
        let taken = take(&mut state);
        self.unlock(state);
        self.report(&expired);
        taken
    }

    /// Asks the caller's functions about an item, outside of the lock.
    #[inline]
    pub(crate) fn about(&self, item: &T) -> About {
        if self.functions.describe {
            self.describe(item)
        } else {
            About::default()
        }
    }

    #[inline(never)]
    fn describe(&self, item: &T) -> About {
        let Functions {
            weight,
            priority,
            key,
            ..
        } = &self.functions;
        About {
            weight: weight.as_ref().map_or(0, |weight| weight(item)),
            level: priority
                .as_ref()
                .map_or(0, |priority| usize::from(priority(item).level())),
            key: key.as_ref().map(|key| key(item)),
        }
    }

    /// Reports lost items to the hook.
    #[inline]
    pub(crate) fn report(&self, lost: &Lost<T>) {
        if !lost.is_empty() && self.functions.on_drop.is_some() {
            self.report_each(lost);
        }
    }

    #[inline(never)]
    fn report_each(&self, lost: &Lost<T>) {
        if let Some(on_drop) = &self.functions.on_drop {
            // A panic of the hook neither fails the send nor loses an item. The panic hook of the
            // process has reported it.
            lost.for_each(|item, reason| {
                _ = catch_unwind(AssertUnwindSafe(|| on_drop(item, reason)));
            });
        }
    }

    /// Queued items, without the lock.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
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
