//! One partition: its guarantee, its requests, and the slots reserved for it.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use plimsoll_core::policy::Counter;

use crate::limit::stalls::{Stalls, Stamp};

/// How long a slot is reserved after its partition was rejected below its guarantee, in
/// nanoseconds.
///
/// 100 ms, the time in which a caller may retry. Tests in `partitions` fail with another value.
const RESERVED: u64 = 100_000_000;

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) share: f64,
    /// Requests in flight, or in the limit's queue.
    inside: AtomicU32,
    /// Requests below the guarantee that were rejected and have not been retried, and until when
    /// slots stay reserved for them.
    reserved: AtomicU32,
    reserved_until: AtomicU64,
    pub(super) rejected: Counter,
    pub(super) stalls: Stalls,
}

impl Partition {
    pub(super) fn new(share: f64) -> Self {
        Self {
            share,
            inside: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            reserved_until: AtomicU64::new(0),
            rejected: Counter::new(),
            stalls: Stalls::new(),
        }
    }

    /// Returns the guaranteed part of a limit: the share, rounded up; 0 for a share of 0.
    #[inline]
    pub(super) fn guarantee(&self, limit: usize) -> u32 {
        // The margin is for floats: 0.07 * 100 is slightly more than 7.
        (limit as f64 * self.share - 1e-6).ceil() as u32
    }

    #[inline]
    pub(super) fn inside(&self) -> u32 {
        self.inside.load(Relaxed)
    }

    /// Counts a request in, if fewer than `most` are inside.
    #[inline]
    pub(super) fn acquire(&self, most: u32) -> bool {
        let mut inside = self.inside.load(Relaxed);
        while inside < most {
            match self
                .inside
                .compare_exchange_weak(inside, inside + 1, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => inside = now,
            }
        }
        false
    }

    /// Counts a request out, unless its place was reclaimed.
    #[inline]
    pub(super) fn release(&self, stamp: Stamp) {
        if self.stalls.end(stamp, || false) {
            self.inside.fetch_sub(1, AcqRel);
        }
    }

    /// Reclaims the places of responses that stayed unread for `longest`. Returns whether there
    /// were any.
    #[cold]
    pub(super) fn reclaim(&self, now: u64, longest: Option<u64>) -> bool {
        let taken = longest.map_or(0, |longest| self.stalls.reclaim(now, longest));
        self.inside.fetch_sub(taken, AcqRel);
        taken > 0
    }

    /// Notes that a request below the guarantee found the limit full at `now`; `took` means that it
    /// used a reserved slot.
    #[cold]
    pub(super) fn rejected_below_guarantee(&self, now: u64, took: bool) {
        let until = self
            .reserved_until
            .swap(now.saturating_add(RESERVED), Relaxed);
        if until <= now {
            self.reserved.store(1, Relaxed);
        } else {
            self.reserved.fetch_add(1 + u32::from(took), Relaxed);
        }
    }

    /// Takes a reserved slot, if there is one, for a request below the guarantee.
    #[inline]
    pub(super) fn take_reserved(&self) -> bool {
        let reserved = self.reserved.load(Relaxed);
        if reserved == 0 {
            return false; // the usual case
        }
        self.reserved
            .compare_exchange(reserved, reserved - 1, Relaxed, Relaxed)
            .is_ok()
    }

    /// Returns the number of slots that are reserved for this partition now.
    pub(super) fn reserved(&self, now: u64, limit: usize) -> u32 {
        let reserved = self.reserved.load(Relaxed);
        if reserved == 0 || self.reserved_until.load(Relaxed) <= now {
            return 0;
        }
        reserved.min(self.guarantee(limit).saturating_sub(self.inside()))
    }
}
