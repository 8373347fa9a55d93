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

use super::lock::Lock;
use crate::sync::{AtomicBool, AtomicU64};

pub(super) type Slots<T> = VecDeque<Option<T>>;

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
    pub(super) items: Lock<Slots<T>>,
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
