//! The log among threads: a lock for those who are let in, none for those who are refused.
//!
//! An admission puts several units in at once, a revocation takes them out of the middle, and both must leave a sorted
//! log: many words that change as one. So they take a lock, for as long as it takes to write those words. It is
//! taken by no more requests than the limit lets in (and those that race with the last of them): what a storm does is read
//! `full`, where the holder of the lock leaves the moment at which the next unit can be had.

use std::{
    sync::{
        PoisonError,
        atomic::Ordering::{Acquire, Release},
    },
    time::Duration,
};

use super::{ring::Ring, settings::Terms};
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// Bits of [`Log::full`] that hold a moment: 36 years of nanoseconds. The others hold the generation of the terms.
const TIME_BITS: u32 = 60;
const GENERATIONS: u64 = 1 << (u64::BITS - TIME_BITS);
/// Less than 2^55 nanoseconds.
pub(super) const MAX_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Later moments read as this one, so that no moment overflows. After 35 years the clock stands still.
const MAX_NOW: u64 = (1 << TIME_BITS) - 1 - MAX_PERIOD.as_nanos() as u64;

/// What was taken lately.
#[derive(Debug)]
pub(super) struct Log {
    /// The moment at which one unit can be had, and below it the generation of the terms that say so. Written under
    /// the lock.
    full: AtomicU64,
    ring: Mutex<Ring>,
}

/// Units that were taken, with what is needed to give them back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    stamp: u64,
    units: u32,
}

/// They could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not yet; in so many nanoseconds.
    Wait(u64),
    /// Not ever: more than the limit.
    Never,
}

impl Log {
    /// An empty log, with room for so many units. None yet: taken when `take` is first called.
    pub(super) fn new(room: usize) -> Self {
        Self {
            full: AtomicU64::new(0),
            ring: Mutex::new(Ring::new(room)),
        }
    }

    /// Takes all of the units, or none. `room` is what the ring has, or gets with its first unit.
    #[inline]
    pub(super) fn take(
        &self,
        terms: &Terms,
        room: u32,
        now: u64,
        units: u32,
    ) -> Result<Taken, Refused> {
        let now = now.min(MAX_NOW);
        let (generation, [limit, period]) = terms.read();
        if units == 0 {
            return Ok(Taken { stamp: 0, units });
        }
        if u64::from(units) > limit {
            return Err(Refused::Never);
        }
        if units == 1 {
            let full = self.full.load(Acquire);
            let until = full / GENERATIONS;
            if full % GENERATIONS == generation % GENERATIONS && now < until {
                return Err(Refused::Wait(until - now));
            }
        }
        let mut ring = self.lock();
        if ring.room() == 0 {
            *ring = Ring::new(room as usize);
        }
        let opens_at = ring.opens_at(limit as usize, period, units as usize);
        // The time as it was read, not as it is entered: then any two of `limit + 1` are a period apart.
        let taken = if now < opens_at {
            Err(Refused::Wait(opens_at - now))
        } else {
            let stamp = ring.push(now, units as usize);
            Ok(Taken { stamp, units })
        };
        self.publish(&ring, generation, limit, period);
        taken
    }

    /// Takes units out again: as if they had never been in.
    pub(super) fn give_back(&self, terms: &Terms, taken: Taken) {
        if taken.units == 0 {
            return;
        }
        let (generation, [limit, period]) = terms.read();
        let mut ring = self.lock();
        ring.remove(taken.stamp, taken.units as usize);
        self.publish(&ring, generation, limit, period);
    }

    fn publish(&self, ring: &Ring, generation: u64, limit: u64, period: u64) {
        let until = ring.opens_at(limit as usize, period, 1);
        let full = (until * GENERATIONS) | (generation % GENERATIONS);
        self.full.store(full, Release);
    }

    /// Units that could be taken at `now`.
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
        // Nothing panics while it is held; a poisoned one would be as good.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything. Nobody holds a unit of it.
    pub(super) fn clear(&self) {
        let mut ring = self.lock();
        ring.clear();
        self.full.store(0, Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
