//! The slots: the number of requests in flight, and whether the queue has waiters.
//!
//! Both are in one atomic word, so a release and the arrival of the first waiter cannot miss each
//! other: each changes the same atomic, and one of them observes the other. Either the waiter sees
//! the free slot and takes it, or the release sees the waiter's mark and hands the slot over.
//!
//! # Slot caches
//!
//! After two threads have contended for the word, released slots stay in [slot
//! caches](crate::limit::slot_cache), one for each core, and the word still counts them as taken.
//! The word then also holds the limit that the slots are spread under.
//!
//! - Spreading starts only while a quarter of the limit is free and the queue is empty. While slots
//!   are spread, no more are taken than that limit has.
//! - Before a request is rejected, queued, or admitted under another limit, all caches are closed.
//!   Their free slots return to the word in the operation that ends the spread, so a word that is
//!   not spread is exact.
//!
//! So no request is rejected or queued while a slot is free, and the number in flight never exceeds
//! the limit.

use std::sync::{
    OnceLock,
    atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use plimsoll_core::support::{shard, shards};

use crate::{limit::slot_cache::SlotCaches, sync::AtomicU64};

/// Set while the queue has waiters. The mark is above every limit, so one comparison covers "full",
/// "the queue is not empty" and "slots are spread".
const WAITING: u64 = 1 << 63;
/// Set, beside the limit that slots are spread under, while a thread closes the caches: no cache is
/// opened.
const CLOSING: u64 = 1 << 62;
/// The limit that slots are spread under; 0 when they are not. Never set together with [`WAITING`].
const SPREAD: u64 = COUNT << SPREAD_SHIFT;
const SPREAD_SHIFT: u32 = 31;
/// Slots that are taken, including those in caches. At most 2^30, as the limit.
const COUNT: u64 = (1 << 31) - 1;

/// Returns the bits of the limit that slots are spread under.
const fn spread_under(limit: u32) -> u64 {
    (limit as u64) << SPREAD_SHIFT
}

/// Counts the requests in flight, and marks that the queue has waiters.
///
/// The mark is changed only under the queue's lock. Under that lock it is set if and only if the
/// queue has waiters.
#[derive(Debug)]
pub(crate) struct Slots {
    word: AtomicU64,
    /// Created on first contention, so the cells of a keyed limit do without.
    caches: OnceLock<SlotCaches>,
}

/// The word of the slots before a release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before(u64);

/// The slot stayed in an open cache, so the queue is empty.
const CACHED: Before = Before(0);

impl Before {
    #[inline]
    pub(crate) fn has_waiters(self) -> bool {
        self.0 & WAITING != 0
    }

    /// Returns `false` after one comparison; `true` must be checked with
    /// [`was_full`](Self::was_full).
    #[inline]
    pub(crate) fn may_have_been_full(self, limit: u32) -> bool {
        self.0 >= limit.into()
    }

    /// Whether no request could have been admitted: no slot was free, or the queue had waiters.
    pub(crate) fn was_full(self, limit: u32) -> bool {
        self.0 & !(SPREAD | CLOSING) >= limit.into()
    }

    /// The number in flight, including the request that left; `None` while slots are spread.
    #[inline]
    pub(crate) fn in_flight(self) -> Option<u32> {
        // Performance: first without a mark, the usual case (`instructions`, `adaptive@accept`).
        let usual = (1..=COUNT).contains(&self.0);
        let exact = usual || self.0 & SPREAD == 0 && self.0 != CACHED.0;
        exact.then_some((self.0 & COUNT) as u32)
    }
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            caches: OnceLock::new(),
        }
    }

    /// Takes a slot, if one is free and the queue is empty.
    #[inline]
    pub(crate) fn enter(&self, limit: u32) -> bool {
        self.enter_by(shard, limit)
    }

    /// Releases a slot. The caller must hand it over when the queue [has
    /// waiters](Before::has_waiters).
    #[inline]
    #[must_use]
    pub(crate) fn release(&self) -> Before {
        self.release_by(shard)
    }

    /// Releases `slots` slots at once, as [`release`](Self::release) releases one.
    #[must_use]
    pub(crate) fn release_many(&self, slots: u32) -> Before {
        Before(self.word.fetch_sub(slots.into(), Release))
    }

    #[inline]
    fn enter_by(&self, core: impl Fn() -> usize, limit: u32) -> bool {
        let word = self.word.load(Relaxed);
        if word < limit.into() {
            let entered = self
                .word
                .compare_exchange_weak(word, word + 1, Acquire, Relaxed);
            return match entered {
                Ok(_) => true,
                Err(word) => self.enter_contended(word, core(), limit),
            };
        }
        word & SPREAD != 0 && self.enter_spread(word, core(), limit)
    }

    #[inline]
    fn release_by(&self, core: impl Fn() -> usize) -> Before {
        if self.word.load(Relaxed) > COUNT {
            return self.release_marked(core);
        }
        Before(self.word.fetch_sub(1, Release))
    }

    /// Slots are spread, or the queue has waiters.
    #[inline(never)]
    fn release_marked(&self, core: impl Fn() -> usize) -> Before {
        if self.word.load(Relaxed) & SPREAD != 0 {
            if let Some(caches) = self.caches.get() {
                if caches.put(core()) {
                    return CACHED;
                }
            }
        }
        Before(self.word.fetch_sub(1, Release))
    }

    /// Another thread changed the word at the same time.
    #[cold]
    fn enter_contended(&self, word: u64, core: usize, limit: u32) -> bool {
        self.spread(limit);
        self.enter_slow(word, core, limit)
    }

    // Performance: out of line, as is `release_marked`, so that an uncontended limit only loads the
    // word (`instructions`, `concurrency@accept`).
    #[inline(never)]
    fn enter_spread(&self, word: u64, core: usize, limit: u32) -> bool {
        let caches = self.caches.get();
        caches.is_some_and(|caches| caches.take(core, limit)) || self.enter_slow(word, core, limit)
    }

    /// Takes a slot from the word, last seen as `word`. When it has none, the slots in caches are
    /// returned to it first.
    #[inline(never)]
    fn enter_slow(&self, mut word: u64, core: usize, limit: u32) -> bool {
        loop {
            let spread = word & SPREAD;
            let has_room = word & COUNT < limit.into() && word & WAITING == 0;
            if has_room && (spread == 0 || spread == spread_under(limit)) {
                let next = word + 1;
                match self
                    .word
                    .compare_exchange_weak(word, next, Acquire, Relaxed)
                {
                    Ok(_) => break,
                    Err(now) => word = now,
                }
            } else if spread != 0 {
                self.close();
                word = self.word.load(Relaxed);
            } else {
                return false;
            }
        }
        if word & SPREAD != 0 {
            if let Some(caches) = self.caches.get() {
                // So that the slot can stay in this cache when it is released.
                caches.open(core, limit, || {
                    self.word.load(Acquire) & (SPREAD | CLOSING) == spread_under(limit)
                });
            }
        }
        true
    }

    #[cfg(test)]
    fn with_caches(count: usize) -> Self {
        Self {
            word: AtomicU64::new(0),
            caches: SlotCaches::new(count).into(),
        }
    }

    /// Starts to keep released slots in caches, if that pays and a quarter of the limit is free.
    /// Near the limit the caches would soon be closed again.
    fn spread(&self, limit: u32) {
        let count = shards();
        if SlotCaches::pay(count, limit) {
            self.caches.get_or_init(|| SlotCaches::new(count));
            self.spread_below(limit - limit / 4, limit);
        }
    }

    fn spread_below(&self, taken: u32, limit: u32) {
        let word = self.word.load(Relaxed);
        if word < taken.into() {
            let spread = word | spread_under(limit);
            _ = self.word.compare_exchange(word, spread, AcqRel, Relaxed);
        }
    }

    /// Returns the slots in caches to the word. A concurrent caller waits for the lock.
    #[cold]
    fn close(&self) {
        let Some(caches) = self.caches.get() else {
            return;
        };
        let mut closings = caches.lock();
        let spread = self.word.load(Acquire) & SPREAD;
        if spread == 0 {
            return;
        }
        self.word.fetch_or(CLOSING, AcqRel);
        let free = u64::from(caches.close(&mut closings));
        // Both bits are set, and only the holder of the lock clears them.
        self.word.fetch_sub(free + spread + CLOSING, AcqRel);
    }

    /// Takes a slot, or sets the mark that makes the next release look into the queue. Call under
    /// the queue's lock, while the queue is empty.
    pub(crate) fn enter_or_mark(&self, limit: u32) -> bool {
        let mut word = self.word.load(Relaxed);
        loop {
            if word & SPREAD != 0 {
                self.close();
                word = self.word.load(Relaxed);
                continue;
            }
            let entered = word < limit.into();
            let next = if entered { word + 1 } else { word | WAITING };
            match self.word.compare_exchange_weak(word, next, AcqRel, Relaxed) {
                Ok(_) => return entered,
                Err(now) => word = now,
            }
        }
    }

    /// Takes a free slot for the next waiter. `last` clears the mark, since the queue is empty
    /// afterwards. Call under the queue's lock.
    pub(crate) fn grant(&self, limit: u32, last: bool) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & COUNT < limit.into() {
            let next = if last {
                (word + 1) & !WAITING
            } else {
                word + 1
            };
            match self.word.compare_exchange_weak(word, next, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Clears the mark: the last waiter left the queue without a slot. Call under the queue's lock.
    pub(crate) fn unmark(&self) {
        self.word.fetch_and(!WAITING, AcqRel);
    }

    /// Returns the requests in flight. Exact while no request starts or ends.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        let word = self.word.load(Relaxed);
        let taken = (word & COUNT) as u32;
        match self.caches.get() {
            Some(caches) if word & SPREAD != 0 => taken.saturating_sub(caches.free()),
            _ => taken,
        }
    }

    /// Whether no request is in flight or queued.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        let word = self.word.load(Acquire);
        if word & SPREAD != 0 {
            self.close();
            return self.word.load(Acquire) == 0;
        }
        word == 0
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
