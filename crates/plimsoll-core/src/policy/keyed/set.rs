//! A set of slots: where a key may live, and how its slot passes to another key.
//!
//! A slot has users (permits and waits) or it can be claimed, never both: one atomic decides. So a key that is in use keeps
//! its slot, and a slot that is being filled is entered by nobody.

use std::sync::PoisonError;

use tokio::time::Instant;

use super::Cell;
use crate::sync::{
    AtomicU32, AtomicU64, Mutex,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Slots in a set.
pub(super) const WAYS: usize = 8;
/// `users` of a slot that is being given to another key.
const CLAIMED: u32 = u32::MAX;

pub(super) struct Set<P> {
    /// Held while a slot is given to a key, so that a key never gets two.
    filling: Mutex<()>,
    slots: [Slot<P>; WAYS],
}

pub(super) struct Slot<P> {
    /// The key's hash, never 0; 0 while the slot is empty.
    hash: AtomicU64,
    /// Permits and waits of this cell, or [`CLAIMED`]. A slot with users keeps its key.
    users: AtomicU32,
    pub(super) cell: P,
}

/// Where a key is, with one user more.
pub(super) enum Entered {
    /// It was in the set.
    Known(usize),
    /// It was given an empty slot.
    New(usize),
    /// It was given a slot whose cell was as good as new.
    Evicting(usize),
    /// All slots are in use, or would be missed.
    Full,
}

impl<P: Cell> Set<P> {
    pub(super) fn new(mut make: impl FnMut() -> P) -> Self {
        let mut slot = || Slot {
            hash: AtomicU64::new(0),
            users: AtomicU32::new(0),
            cell: make(),
        };
        Self {
            filling: Mutex::new(()),
            slots: std::array::from_fn(|_| slot()),
        }
    }

    /// Finds the key's slot, or gives it one.
    #[inline]
    pub(super) fn enter(&self, hash: u64, now: Instant) -> Entered {
        match self.find(hash) {
            Some(way) => Entered::Known(way),
            None => self.enter_new(hash, now),
        }
    }

    #[cold]
    fn enter_new(&self, hash: u64, now: Instant) -> Entered {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // Perhaps another thread has just put it there.
        if let Some(way) = self.find(hash) {
            return Entered::Known(way);
        }
        let Some((way, was_empty)) = self.claim(now) else {
            return Entered::Full;
        };
        let slot = &self.slots[way];
        slot.cell.reset();
        slot.hash.store(hash, Relaxed);
        slot.users.store(1, Release);
        if was_empty {
            Entered::New(way)
        } else {
            Entered::Evicting(way)
        }
    }

    /// The slot of this key, with one user more.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.hash.load(Relaxed) == hash && slot.enter(hash))
    }

    /// A slot that may be given away, with `users` set to [`CLAIMED`]: an empty one, or one whose cell is as good as
    /// new. `true` when it was empty. The caller holds `filling`.
    fn claim(&self, now: Instant) -> Option<(usize, bool)> {
        let empty = |slot: &Slot<P>| slot.hash.load(Relaxed) == 0;
        let claimed = |way: &usize| {
            self.slots[*way]
                .users
                .compare_exchange(0, CLAIMED, AcqRel, Relaxed)
                .is_ok()
        };
        if let Some(way) = (0..WAYS)
            .filter(|way| empty(&self.slots[*way]))
            .find(claimed)
        {
            return Some((way, true));
        }
        for way in (0..WAYS).filter(|way| self.slots[*way].cell.settles_in(now).is_zero()) {
            if claimed(&way) {
                // It may have been used between the look and the claim.
                if self.slots[way].cell.settles_in(now).is_zero() {
                    return Some((way, false));
                }
                self.slots[way].users.store(0, Release);
            }
        }
        None
    }
}

impl<P> Set<P> {
    pub(super) fn slot(&self, way: usize) -> &Slot<P> {
        &self.slots[way]
    }
}

impl<P> Slot<P> {
    /// One user less.
    #[inline]
    pub(super) fn leave(&self) {
        self.users.fetch_sub(1, AcqRel);
    }

    /// Becomes a user of this slot, if it still is this key's.
    #[inline]
    fn enter(&self, hash: u64) -> bool {
        let mut users = self.users.load(Relaxed);
        loop {
            if users >= CLAIMED - 1 {
                return false;
            }
            match self
                .users
                .compare_exchange_weak(users, users + 1, Acquire, Relaxed)
            {
                // The key cannot change any more.
                Ok(_) if self.hash.load(Relaxed) == hash => return true,
                Ok(_) => {
                    self.users.fetch_sub(1, Release);
                    return false;
                }
                Err(now) => users = now,
            }
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::{sync::Arc, time::Duration};

    use loom::sync::atomic::AtomicU64;

    use super::*;

    /// Counts who is inside, and notices a reset while somebody is.
    struct Watched(AtomicU64);

    impl Cell for Watched {
        fn reset(&self) {
            assert_eq!(self.0.load(Relaxed), 0, "reset while in use");
        }
        fn settles_in(&self, _: Instant) -> Duration {
            Duration::ZERO
        }
    }

    /// Two threads, each with a key, in a set whose slots but one are in use: at most one of them is in it at a time, and never
    /// while it is being made new.
    #[test]
    fn a_slot_is_never_two_keys() {
        loom::model(|| {
            let set = Arc::new(Set::new(|| Watched(AtomicU64::new(0))));
            let now = Instant::now();
            for hash in 1..WAYS as u64 {
                assert!(matches!(set.enter(100 + hash, now), Entered::New(_)));
            }
            // One of the two is in the table, and may be evicted while it is looked for.
            assert!(matches!(set.enter(1, now), Entered::New(_)));
            set.slot(WAYS - 1).leave();
            let visit = move |set: &Set<Watched>, hash: u64| {
                let (Entered::Known(way) | Entered::New(way) | Entered::Evicting(way)) =
                    set.enter(hash, now)
                else {
                    return;
                };
                let slot = set.slot(way);
                assert_eq!(slot.hash.load(Relaxed), hash, "another key's slot");
                assert_eq!(
                    slot.cell.0.fetch_add(hash, Relaxed),
                    0,
                    "two keys in one slot"
                );
                assert_eq!(slot.cell.0.fetch_sub(hash, Relaxed), hash);
                slot.leave();
            };
            let other = {
                let set = Arc::clone(&set);
                loom::thread::spawn(move || visit(&set, 1))
            };
            visit(&set, 2);
            other.join().unwrap();
        });
    }

    /// A debt, which a reset would forget.
    struct Debt(AtomicU64);

    impl Cell for Debt {
        fn reset(&self) {
            assert_eq!(self.0.load(Relaxed), 0, "a debt is forgotten");
        }
        fn settles_in(&self, _: Instant) -> Duration {
            Duration::from_secs(self.0.load(Relaxed))
        }
    }

    /// One thread runs up a debt in a slot that the other is about to give to another key, because it
    /// looked as good as new: the debt is kept, and so is its key.
    #[test]
    fn a_slot_that_was_used_since_the_look_keeps_its_key() {
        loom::model(|| {
            let set = Arc::new(Set::new(|| Debt(AtomicU64::new(0))));
            let now = Instant::now();
            for hash in 1..=WAYS as u64 {
                assert!(matches!(set.enter(hash, now), Entered::New(_)));
            }
            set.slot(0).leave();
            let debtor = {
                let set = Arc::clone(&set);
                loom::thread::spawn(move || {
                    let way = set.find(1)?;
                    set.slot(way).cell.0.store(1, Relaxed);
                    set.slot(way).leave();
                    Some(way)
                })
            };
            let evicted = match set.enter(100, now) {
                Entered::Evicting(way) => Some(way),
                Entered::Full => None,
                Entered::Known(_) | Entered::New(_) => panic!("no such key, and no empty slot"),
            };
            let in_debt = debtor.join().unwrap();
            assert_ne!(
                evicted.is_some(),
                in_debt.is_some(),
                "one of them had the slot"
            );
            assert_eq!(set.find(1), in_debt);
        });
    }

    /// Two threads bring the same new key at once: it gets one slot.
    #[test]
    fn a_key_never_gets_two_slots() {
        loom::model(|| {
            let set = Arc::new(Set::new(|| Watched(AtomicU64::new(0))));
            let now = Instant::now();
            let enter = move |set: &Set<Watched>| match set.enter(7, now) {
                Entered::Known(way) | Entered::New(way) | Entered::Evicting(way) => way,
                Entered::Full => panic!("there is room"),
            };
            let other = {
                let set = Arc::clone(&set);
                loom::thread::spawn(move || enter(&set))
            };
            let mine = enter(&set);
            assert_eq!(other.join().unwrap(), mine);
        });
    }
}
