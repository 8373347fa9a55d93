//! The shared state of one criticality: its level, and what was observed since the last adjustment.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};

use super::level::{Level, Seen};
use crate::limit::stalls::Stalls;

/// The shortest time between two adjustments of the level: 5 ms in nanoseconds.
const INTERVAL: u64 = 5_000_000;
/// How long a key pauses between two requests at a level of one half: 20 ms in nanoseconds.
const PAUSE: f64 = 20e6;
/// Adjustments after which the rounding favours other keys: 64, about 0.3 seconds.
const TURN: u32 = 64;
/// 2^32 divided by the golden ratio, whose multiples are evenly spread.
pub(super) const GOLDEN: u32 = 0x9E37_79B9;

/// How full the limit is for a criticality: its own requests, and all above it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fill {
    /// Requests in flight and in the queue.
    pub(super) inside: u32,
    /// The part of the limit for them.
    pub(super) limit: u32,
    /// Requests of exactly this criticality.
    pub(super) own: u32,
}

pub(super) struct Band {
    /// Requests inside that were admitted while the limit was nearly full.
    pub(super) inside: AtomicU32,
    /// The height of the level, as the bits of a float.
    height: AtomicU64,
    calm: AtomicU32,
    /// When the level was last adjusted, and how often.
    adjusted: AtomicU64,
    interval: AtomicU32,
    starved: AtomicU32,
    /// The most requests that one key had inside, in the upper half, and the offset of that key.
    highest: AtomicU64,
    highest_before: AtomicU64,
    at_level: AtomicU32,
    above: AtomicU32,
    lowest_rejected: AtomicU32,
    /// Stalls of the requests counted in `inside`.
    pub(super) stalls: Stalls,
}

impl Band {
    pub(super) fn new() -> Self {
        Self {
            inside: AtomicU32::new(0),
            height: AtomicU64::new(Level::UNLIMITED.height.to_bits()),
            calm: AtomicU32::new(Level::UNLIMITED.calm),
            adjusted: AtomicU64::new(0),
            interval: AtomicU32::new(1),
            starved: AtomicU32::new(0),
            highest: AtomicU64::new(0),
            highest_before: AtomicU64::new(0),
            at_level: AtomicU32::new(0),
            above: AtomicU32::new(0),
            lowest_rejected: AtomicU32::new(u32::MAX),
            stalls: Stalls::new(),
        }
    }

    pub(super) fn height(&self) -> f64 {
        f64::from_bits(self.height.load(Relaxed))
    }

    /// Returns when the level was last adjusted: the time to a few milliseconds, while shares
    /// apply.
    pub(super) fn time(&self) -> u64 {
        self.adjusted.load(Relaxed)
    }

    /// Returns how long a key without requests inside has to pause, in nanoseconds, if its last
    /// request ended at `left`.
    pub(super) fn pause(&self, left: u64, now: u64) -> u64 {
        let height = self.height();
        if height >= 1.0 || left == 0 {
            return 0;
        }
        let pause = PAUSE * (1.0 / height - 1.0);
        (left + pause as u64).saturating_sub(now)
    }

    pub(super) fn interval(&self) -> u32 {
        self.interval.load(Relaxed)
    }

    /// Returns the level in whole requests for one key.
    ///
    /// Each key has its own rounding, so a level of 1.5 is 2 for half of the keys and 1 for the
    /// others, and the sum over all keys matches the level. The keys take turns.
    pub(super) fn cap(&self, offset: u32) -> u32 {
        let turn = (self.interval() / TURN).wrapping_mul(GOLDEN);
        let rounding = f64::from(offset.wrapping_add(turn)) / f64::from(u32::MAX);
        ((self.height() + rounding.min(0.999)) as u32).max(1)
    }

    /// Notes that a key, identified by its offset, with `inside` requests asks for one more.
    pub(super) fn asked(&self, inside: u32, key: u32, fill: impl Fn() -> Fill) {
        let highest = self.highest.load(Relaxed);
        let own = u64::from(inside) << 32 | u64::from(key);
        if own > highest {
            self.highest.fetch_max(own, Relaxed);
        }
        let of_others = |highest: u64| {
            if highest as u32 == key {
                0
            } else {
                (highest >> 32) as u32
            }
        };
        let others = of_others(highest).max(of_others(self.highest_before.load(Relaxed)));
        // A key with no request has less than keys that hold all of the limit.
        let is_starved =
            inside == 0 || f64::from(inside + 1) < self.height().min(f64::from(others));
        if is_starved && self.starved.load(Relaxed) == 0 {
            let fill = fill();
            // Where only the more critical hold slots, shares within this criticality do not help.
            if fill.inside >= fill.limit && fill.own > inside {
                self.starved.store(1, Relaxed);
            }
        }
    }

    /// Notes that a key was rejected for the first time in this interval.
    pub(super) fn rejected(&self, inside: u32, above: bool) {
        let keys = if above { &self.above } else { &self.at_level };
        keys.fetch_add(1, Relaxed);
        self.lowest_rejected.fetch_min(inside, Relaxed);
    }

    /// Adjusts the level when it is due and no other thread does.
    #[inline]
    pub(super) fn adjust(&self, now: u64, fill: impl Fn() -> Fill) {
        let last = self.adjusted.load(Relaxed);
        if now.saturating_sub(last) >= INTERVAL
            && self
                .adjusted
                .compare_exchange(last, now, AcqRel, Relaxed)
                .is_ok()
        {
            self.adjust_now(fill());
        }
    }

    fn adjust_now(&self, Fill { inside, limit, .. }: Fill) {
        let highest = self.highest.swap(0, Relaxed);
        let highest_before = self.highest_before.swap(highest, Relaxed);
        let seen = Seen {
            inside,
            limit,
            starved: self.starved.swap(0, Relaxed) != 0,
            highest: ((highest.max(highest_before) >> 32) as u32).max(1),
            at_level: self.at_level.swap(0, Relaxed),
            above: self.above.swap(0, Relaxed),
            lowest_rejected: self.lowest_rejected.swap(u32::MAX, Relaxed),
        };
        let level = Level {
            height: self.height(),
            calm: self.calm.load(Relaxed),
        };
        let level = level.next(&seen);
        self.height.store(level.height.to_bits(), Relaxed);
        self.calm.store(level.calm, Relaxed);
        self.interval.fetch_add(1, Relaxed);
    }
}
