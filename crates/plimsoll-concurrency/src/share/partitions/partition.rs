//! One partition: what it is guaranteed, has, and is owed.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use plimsoll_core::Counter;

use crate::limit::stalls::{Stalls, Stamp};

/// Nanoseconds for which a slot is kept for a partition that was turned away.
const KEPT: u64 = 100_000_000;

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) share: f64,
    /// In flight, or in the limit's queue.
    inside: AtomicU32,
    /// Requests below the guarantee that were turned away and did not come again, and until when that counts.
    owed: AtomicU32,
    owed_until: AtomicU64,
    pub(super) rejected: Counter,
    pub(super) stalls: Stalls,
}

impl Partition {
    pub(super) fn new(share: f64) -> Self {
        Self {
            share,
            inside: AtomicU32::new(0),
            owed: AtomicU32::new(0),
            owed_until: AtomicU64::new(0),
            rejected: Counter::new(),
            stalls: Stalls::new(),
        }
    }

    /// Of a limit: the share, rounded up; none of nothing.
    #[inline]
    pub(super) fn guarantee(&self, limit: usize) -> u32 {
        // 0.07 of 100 is a little more than 7 in floats.
        (limit as f64 * self.share - 1e-6).ceil() as u32
    }

    #[inline]
    pub(super) fn inside(&self) -> u32 {
        self.inside.load(Relaxed)
    }

    /// One more inside, if it is below `most`.
    #[inline]
    pub(super) fn enter(&self, most: u32) -> bool {
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

    /// One less, unless its place was reclaimed.
    #[inline]
    pub(super) fn leave(&self, stamp: Stamp) {
        if self.stalls.end(stamp, || false) {
            self.inside.fetch_sub(1, AcqRel);
        }
    }

    /// Reclaims the places of responses that were not read for `longest`. Returns whether there
    /// were any.
    #[cold]
    pub(super) fn reclaim(&self, now: u64, longest: Option<u64>) -> bool {
        let taken = longest.map_or(0, |longest| self.stalls.reclaim(now, longest));
        self.inside.fetch_sub(taken, AcqRel);
        taken > 0
    }

    /// A request below the guarantee found the limit full at `now`; `took` what was owed to it.
    #[cold]
    pub(super) fn turned_away(&self, now: u64, took: bool) {
        let until = self.owed_until.swap(now.saturating_add(KEPT), Relaxed);
        if until <= now {
            self.owed.store(1, Relaxed);
        } else {
            self.owed.fetch_add(1 + u32::from(took), Relaxed);
        }
    }

    /// A request below the guarantee goes for a slot, for one that it is owed if there is any.
    #[inline]
    pub(super) fn take_owed(&self) -> bool {
        let owed = self.owed.load(Relaxed);
        if owed == 0 {
            return false; // nearly always
        }
        self.owed
            .compare_exchange(owed, owed - 1, Relaxed, Relaxed)
            .is_ok()
    }

    /// Slots to be kept for it now.
    pub(super) fn owed(&self, now: u64, limit: usize) -> u32 {
        let owed = self.owed.load(Relaxed);
        if owed == 0 || self.owed_until.load(Relaxed) <= now {
            return 0;
        }
        owed.min(self.guarantee(limit).saturating_sub(self.inside()))
    }
}
