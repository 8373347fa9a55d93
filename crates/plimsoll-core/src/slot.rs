//! Slots with one writer: a thread that owns a slot counts there without atomic additions.

use std::cell::Cell;

use crate::{
    shard::shards,
    sync::{AtomicU64, Ordering},
};

/// The slot of a thread that has none: it has not asked yet, or all were taken.
const NO_SLOT: usize = usize::MAX;

thread_local! {
    /// Performance: without a destructor, so that reading it is one instruction (`instructions`,
    /// `gate-metrics@accept`).
    static SLOT: Cell<usize> = const { Cell::new(NO_SLOT) };
    /// Releases the slot when the thread ends; `None` before the thread has asked for one.
    static OWNED: Cell<Option<Owned>> = const { Cell::new(None) };
}

/// The number of slots: one for each processor, at least four and at most 64.
pub fn slots() -> usize {
    shards().max(4)
}

/// Returns this thread's slot below [`slots`], or a number above all slots when it has none.
///
/// No other living thread has the same slot, so its owner is the only writer of what it indexes:
/// `count.store(count.load(Relaxed) + 1, Relaxed)` loses no update. A thread that takes over the
/// slot of one that ended sees all that the other has written. A thread without a slot calls
/// [`claim_slot`], and if that returns `None`, must write somewhere else.
#[inline]
pub fn slot() -> usize {
    SLOT.get()
}

/// Claims a slot for this thread until it ends. `None` when all were taken when it first asked.
#[cold]
#[cfg(not(loom))]
pub fn claim_slot() -> Option<usize> {
    static CLAIMS: Claims = Claims::new();
    let claim = |owned: &Cell<Option<Owned>>| {
        let claimed = owned.take().unwrap_or_else(|| {
            let slot = CLAIMS.claim(slots());
            SLOT.set(slot.unwrap_or(NO_SLOT));
            Owned(slot, &CLAIMS)
        });
        let slot = claimed.0;
        owned.set(Some(claimed));
        slot
    };
    // `OWNED` is gone while the thread is torn down: its slot is released by then.
    OWNED.try_with(claim).unwrap_or(None)
}

/// A thread's slot; `None` when none was free.
struct Owned(Option<usize>, &'static Claims);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            // Before the release: destructors that run later must not write to the slot.
            SLOT.set(NO_SLOT);
            self.1.release(slot);
        }
    }
}

/// One bit for each slot that is taken.
struct Claims(AtomicU64);

impl Claims {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes the lowest free slot of `slots`, at most 64.
    fn claim(&self, slots: usize) -> Option<usize> {
        loop {
            let free = (!self.0.load(Ordering::Relaxed)).trailing_zeros() as usize;
            if free >= slots.min(64) {
                return None;
            }
            // Acquire: what the last owner wrote is visible to the new one.
            if self.0.fetch_or(1 << free, Ordering::Acquire) & 1 << free == 0 {
                return Some(free);
            }
        }
    }

    fn release(&self, slot: usize) {
        self.0.fetch_and(!(1 << slot), Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn living_threads_have_different_slots_and_an_ended_thread_releases_its_slot() {
        // More threads than slots: the rest has none.
        let (count, together) = (slots() + 3, Barrier::new(slots() + 3));
        for _ in 0..20 {
            let ask = || {
                let slot = claim_slot();
                together.wait();
                assert_eq!(claim_slot(), slot, "the answer is the same while it lives");
                assert_eq!(self::slot(), slot.unwrap_or(NO_SLOT));
                slot
            };
            let mut taken: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
                let slots = threads.into_iter().map(|thread| thread.join().unwrap());
                slots.flatten().collect()
            });
            let all = taken.len();
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), all);
            assert!(taken.iter().all(|slot| *slot < slots()));
        }
    }

    #[test]
    fn claims_are_taken_from_the_lowest_up_and_can_be_taken_again() {
        let claims = Claims::new();
        let taken: Vec<_> = (0..4).map(|_| claims.claim(3)).collect();
        assert_eq!(taken, [Some(0), Some(1), Some(2), None]);
        claims.release(1);
        assert_eq!((claims.claim(3), claims.claim(3)), (Some(1), None));
        let all = Claims::new();
        assert_eq!((0..70).filter_map(|_| all.claim(100)).count(), 64);
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::{sync::Arc, thread};

    use super::*;

    #[test]
    fn a_slot_that_is_handed_over_loses_no_count() {
        loom::model(|| {
            let shared = Arc::new((Claims(AtomicU64::new(0)), AtomicU64::new(0)));
            let count = |(claims, own): &(Claims, AtomicU64)| {
                let slot = claims.claim(1)?;
                own.store(own.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                claims.release(slot);
                Some(slot)
            };
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || count(&shared).is_some())
                })
                .collect();
            let mine = count(&shared).is_some();
            let others = threads.into_iter().map(|thread| thread.join().unwrap());
            let counted = others.chain([mine]).filter(|counted| *counted).count();
            assert_eq!(shared.1.load(Ordering::Relaxed), counted as u64);
        });
    }
}
