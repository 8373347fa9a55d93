//! The items that receivers have taken out of the ring together.
//!
//! A sender and a receiver that lock the same state move its cache line from processor to processor
//! for each item. So under `Block`, which loses no numbers, a receiver that finds items in the ring
//! takes all of them at once, by an exchange of two buffers, and receivers then share this batch under
//! a lock of its own. The faster the senders are, the larger are the batches.
//!
//! The batch is the oldest part of the queue. An operation that needs all items in one place puts it back
//! ([`Shared::lock_whole`]). The locks are taken in one order: first that of the batch.
//!
//! A receive from the batch does not lock the state, so it does not see senders that wait. These note
//! in the batch that the next receive owes them a grant.

use std::{
    collections::VecDeque,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use super::lock::Lock;
use crate::sync::{AtomicBool, AtomicU64};

pub(super) type Slots<T> = VecDeque<Option<T>>;

/// What the lock of the batch protects.
#[derive(Debug)]
pub(super) struct Taken<T> {
    pub(super) items: Slots<T>,
    /// Whether a sender waits that the next receive from the batch must grant.
    pub(super) owes_grant: bool,
}

/// What receivers write, on cache lines of their own.
#[repr(C, align(128))]
pub(super) struct Batch<T> {
    /// Whether receivers look here first. Only a hint: what is in the batch is known under its lock.
    active: AtomicBool,
    /// Receives until the next that asks for the budget of its task.
    pub(super) unasked: AtomicU32,
    /// How many numbers have left the queue, received or lost. Together with those that were given to
    /// new items it is the length, which is read without a lock.
    left: AtomicU64,
    pub(super) taken: Lock<Taken<T>>,
}

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            unasked: AtomicU32::new(0),
            left: AtomicU64::new(0),
            taken: Lock::new(Taken {
                items: VecDeque::new(),
                owes_grant: false,
            }),
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
