//! The log, shared by threads: a lock for admissions, none for most rejections.
//!
//! An admission inserts several units at once, a revocation removes them from the middle, and both
//! must leave a sorted log: several words that change together. So they hold a lock while they
//! write. The lock is taken about once per admitted request. Rejections in an overload read `full`,
//! where the last holder of the lock stored the time at which the next unit is available.

use std::sync::{
    PoisonError,
    atomic::Ordering::{Acquire, Release},
};

use super::{ring::Ring, settings::Terms};
use crate::{
    bounds::MAX_PERIOD,
    sync::{AtomicU64, Mutex, MutexGuard},
};

/// Bits of [`Log::full`] that hold a time: 36 years in nanoseconds. The others hold the generation
/// of the terms.
const TIME_BITS: u32 = 60;
const GENERATIONS: u64 = 1 << (u64::BITS - TIME_BITS);
/// The latest time, in nanoseconds. Later times read as this one, so that no time overflows: after
/// 35 years the clock has stopped.
const MAX_NOW: u64 = (1 << TIME_BITS) - 1 - MAX_PERIOD.as_nanos() as u64;

/// The units that were taken within the last period.
#[derive(Debug)]
pub(super) struct Log {
    /// The time at which one unit is available, and below it the generation of the terms. Written
    /// under the lock.
    full: AtomicU64,
    ring: Mutex<Ring>,
}

/// Units that were taken, with what is needed to refund them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    stamp: u64,
    units: u32,
}

/// The rejection of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// They are available in this many nanoseconds.
    Wait(u64),
    /// They are never available: more than the limit.
    Never,
}

impl Log {
    /// An empty log for `room` units. With a room of 0, memory is allocated by the first `take`.
    pub(super) fn new(room: usize) -> Self {
        Self {
            full: AtomicU64::new(0),
            ring: Mutex::new(Ring::new(room)),
        }
    }

    /// Takes all units, or none. `room` is the size of the ring that the first unit allocates.
    #[inline]
    pub(super) fn take(
        &self,
        terms: &Terms,
        room: u32,
        now: u64,
        units: u32,
    ) -> Result<Taken, Rejected> {
        let now = now.min(MAX_NOW);
        let (generation, [limit, period]) = terms.read();
        if units == 0 {
            return Ok(Taken { stamp: 0, units });
        }
        if u64::from(units) > limit {
            return Err(Rejected::Never);
        }
        if units == 1 {
            let full = self.full.load(Acquire);
            let until = full / GENERATIONS;
            if full % GENERATIONS == generation % GENERATIONS && now < until {
                return Err(Rejected::Wait(until - now));
            }
        }
        let mut ring = self.lock();
        if ring.room() == 0 {
            *ring = Ring::new(room as usize);
        }
        let available_at = ring.available_at(limit as usize, period, units as usize);
        // The time as read, not the stamp: so the first and the last of any `limit + 1` units are
        // at least a period apart.
        let taken = if now < available_at {
            Err(Rejected::Wait(available_at - now))
        } else {
            let stamp = ring.push(now, units as usize);
            Ok(Taken { stamp, units })
        };
        self.publish(&ring, generation, limit, period);
        taken
    }

    /// Refunds units, as if they had never been taken.
    pub(super) fn refund(&self, terms: &Terms, taken: Taken) {
        if taken.units == 0 {
            return;
        }
        let (generation, [limit, period]) = terms.read();
        let mut ring = self.lock();
        ring.remove(taken.stamp, taken.units as usize);
        self.publish(&ring, generation, limit, period);
    }

    fn publish(&self, ring: &Ring, generation: u64, limit: u64, period: u64) {
        let until = ring.available_at(limit as usize, period, 1);
        let full = (until * GENERATIONS) | (generation % GENERATIONS);
        self.full.store(full, Release);
    }

    /// Units that can be taken at `now`.
    pub(super) fn available(&self, terms: &Terms, now: u64) -> u64 {
        let now = now.min(MAX_NOW);
        let (_, [limit, period]) = terms.read();
        let ring = self.lock();
        let within = match now.checked_sub(period) {
            Some(start) => ring.newer_than(start),
            None => ring.len(),
        };
        limit.saturating_sub(within as u64)
    }

    /// Nanoseconds until no unit is in the window.
    pub(super) fn empty_in(&self, terms: &Terms, now: u64) -> u64 {
        let (_, [_, period]) = terms.read::<2>();
        let ring = self.lock();
        ring.newest(0).map_or(0, |newest| {
            (newest + period).saturating_sub(now.min(MAX_NOW))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics under this lock; a poisoned ring is still consistent.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all units. No permit holds any of them.
    pub(super) fn clear(&self) {
        let mut ring = self.lock();
        ring.clear();
        self.full.store(0, Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
