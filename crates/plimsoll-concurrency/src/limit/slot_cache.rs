//! Caches of free slots, one for each core.
//!
//! One atomic counter gets slower with each core that writes to it, because its cache line moves
//! between cores. So, after two threads have contended for it, each core has a slot cache. A
//! released slot stays in the cache of its core, still counted as taken, and the next request on
//! that core takes it from there. In the steady state the shared count is not written.
//!
//! A cache is one word, open or closed, and each change of it is one atomic operation. Closing
//! takes the slots out in the same operation. Slots that are released after that go to the shared
//! count, so no slot can enter a cache unseen while another thread looks for a free one.
//! [`Slots`](crate::limit::slots::Slots) decides when to open and close.

use std::sync::{
    PoisonError,
    atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// All caches together hold at most 1/4 of the limit. The loom models and `stress` cover it.
const SHARE: u32 = 4;

/// The slot caches of all cores.
#[derive(Debug)]
pub(crate) struct SlotCaches {
    /// The number of caches is a power of two.
    each: Box<[SlotCache]>,
    /// The capacity of each cache is the limit, shifted right by this.
    shift: u32,
    /// How often the caches were closed. The holder of the lock may close them.
    closings: Mutex<u32>,
}

/// One slot cache. Performance: on cache lines of its own, two because processors fetch them in
/// pairs.
#[derive(Debug)]
#[repr(align(128))]
struct SlotCache(AtomicU64);

/// The state of a cache, packed into its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The number of free slots, and the limit (never 0) that they are spread under.
    Open { limit: u32, free: u32 },
    /// The number of the closing. A thread that read the word, and then tries to open the cache,
    /// detects by it that the cache was closed again in between.
    Closed(u32),
}

impl Word {
    #[inline]
    const fn of(bits: u64) -> Self {
        match (bits >> 32) as u32 {
            0 => Self::Closed(bits as u32),
            limit => Self::Open {
                limit,
                free: bits as u32,
            },
        }
    }

    #[inline]
    const fn bits(self) -> u64 {
        match self {
            Self::Open { limit, free } => (limit as u64) << 32 | free as u64,
            Self::Closed(closing) => closing as u64,
        }
    }
}

impl SlotCaches {
    /// Whether this number of caches pays under this limit: there are several, and each can hold a
    /// slot.
    pub(crate) fn pay(count: usize, limit: u32) -> bool {
        count > 1 && limit as usize / count >= SHARE as usize
    }

    /// Creates this number of caches, a power of two, all closed.
    pub(crate) fn new(count: usize) -> Self {
        let closed = || SlotCache(AtomicU64::new(Word::Closed(0).bits()));
        Self {
            shift: (count as u32 * SHARE).ilog2(),
            each: (0..count).map(|_| closed()).collect(),
            closings: Mutex::new(0),
        }
    }

    #[inline]
    fn cache(&self, core: usize) -> &AtomicU64 {
        &self.each[core & (self.each.len() - 1)].0
    }

    /// The capacity of one cache under this limit.
    #[inline]
    fn capacity(&self, limit: u32) -> u32 {
        limit >> self.shift
    }

    /// Takes a free slot from the cache, if it has one and is open under this limit.
    #[inline]
    pub(crate) fn take(&self, core: usize, limit: u32) -> bool {
        let cache = self.cache(core);
        let mut bits = cache.load(Relaxed);
        loop {
            match Word::of(bits) {
                Word::Open {
                    limit: under,
                    free: 1..,
                } if under == limit => {}
                _ => return false,
            }
            match cache.compare_exchange_weak(bits, bits - 1, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => bits = now,
            }
        }
    }

    /// Puts a slot into the cache, if it is open and has room.
    #[inline]
    pub(crate) fn put(&self, core: usize) -> bool {
        let cache = self.cache(core);
        let mut bits = cache.load(Relaxed);
        loop {
            match Word::of(bits) {
                Word::Open { limit, free } if free < self.capacity(limit) => {}
                _ => return false,
            }
            match cache.compare_exchange_weak(bits, bits + 1, Release, Relaxed) {
                Ok(_) => return true,
                Err(now) => bits = now,
            }
        }
    }

    /// Opens the cache, if it is closed and `may` returns `true`.
    ///
    /// `may` is called *after* the cache was seen closed. If the caches are closed again in
    /// between, the word differs and the cache stays closed.
    pub(crate) fn open(&self, core: usize, limit: u32, may: impl FnOnce() -> bool) {
        let cache = self.cache(core);
        let bits = cache.load(Acquire);
        if matches!(Word::of(bits), Word::Closed(_)) && may() {
            let open = Word::Open { limit, free: 0 }.bits();
            _ = cache.compare_exchange(bits, open, AcqRel, Relaxed);
        }
    }

    /// Locks the right to close the caches.
    pub(crate) fn lock(&self) -> MutexGuard<'_, u32> {
        // No code panics under this lock, so a poisoned lock holds a consistent value.
        self.closings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all caches and returns the number of free slots that were in them.
    pub(crate) fn close(&self, closings: &mut u32) -> u32 {
        *closings = closings.wrapping_add(1);
        let closed = Word::Closed(*closings).bits();
        let caches = self.each.iter();
        caches
            .map(|cache| match Word::of(cache.0.swap(closed, AcqRel)) {
                Word::Open { free, .. } => free,
                Word::Closed(_) => 0,
            })
            .sum()
    }

    /// Returns the number of free slots in caches.
    pub(crate) fn free(&self) -> u32 {
        let caches = self.each.iter();
        caches
            .map(|cache| match Word::of(cache.0.load(Relaxed)) {
                Word::Open { free, .. } => free,
                Word::Closed(_) => 0,
            })
            .sum()
    }
}
