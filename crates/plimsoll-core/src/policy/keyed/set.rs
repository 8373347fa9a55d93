//! A set of slots: where a key may be, and which key may take over a slot.
//!
//! A new key is on probation: any other new key may take its slot while that is idle. The second
//! request makes the key known. Another key takes the slot of a known key only when the known key
//! has had no request for [`KEPT_SECS`] since another key needed the slot. So a flood of keys with
//! one request each cannot evict a caller with repeated requests.

use std::sync::PoisonError;

use tokio::time::Instant;

use super::{
    evictable::Evictable,
    slot::{KeyHash, Slot},
};
use crate::{Epoch, sync::Mutex};

/// Slots in a set.
pub(super) const WAYS: usize = 8;
/// How long the slot of a known key is kept after another key has needed it, in seconds. Callers
/// with a request per minute stay known, and slots of unused keys are reused within minutes.
/// `law_07_a_flood_of_keys_takes_no_slot_of_a_known_key` fails when it is shorter than the time
/// between two requests.
const KEPT_SECS: u32 = 5 * 60;

pub(super) struct Set<P> {
    /// Held while a slot is given to a key, so that a key never gets two slots.
    filling: Mutex<()>,
    slots: [Slot<P>; WAYS],
}

/// The slot of a key, with one more user.
pub(super) enum Entered {
    /// The key was in the set.
    Known(usize),
    /// The key was given an empty slot.
    New(usize),
    /// The key was given the slot of an evicted key.
    Evicting(usize),
    /// All slots are in use, unsettled or kept for known keys.
    Full,
}

impl<P: Evictable> Set<P> {
    pub(super) fn new(mut make: impl FnMut() -> P) -> Self {
        Self {
            filling: Mutex::new(()),
            slots: std::array::from_fn(|_| Slot::new(make())),
        }
    }

    /// Finds the key's slot, or gives it one.
    #[inline]
    pub(super) fn enter(&self, key: KeyHash, now: Instant, epoch: &Epoch) -> Entered {
        match self.find_known(key) {
            Some(way) => Entered::Known(way),
            None => self.enter_unknown(key, now, epoch),
        }
    }

    #[cold]
    fn enter_unknown(&self, key: KeyHash, now: Instant, epoch: &Epoch) -> Entered {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have inserted it since the first look-up.
        if let Some(way) = self.find_known(key) {
            return Entered::Known(way);
        }
        if let Some(way) = self.find_open(key) {
            self.slots[way].promote(key);
            return Entered::Known(way);
        }
        let Some((way, was_empty)) = self.claim(now, epoch) else {
            return Entered::Full;
        };
        let slot = &self.slots[way];
        slot.cell.reset();
        slot.give(key);
        if was_empty {
            Entered::New(way)
        } else {
            Entered::Evicting(way)
        }
    }

    #[inline]
    fn find_known(&self, key: KeyHash) -> Option<usize> {
        self.slots.iter().position(|slot| slot.enter_known(key))
    }

    fn find_open(&self, key: KeyHash) -> Option<usize> {
        self.slots.iter().position(|slot| slot.enter_open(key))
    }

    /// Finds the slot of this key, known or not, and adds a user.
    pub(super) fn find(&self, key: KeyHash) -> Option<usize> {
        let known = || self.find_known(key);
        // The key may become known between the first two look-ups.
        known().or_else(|| self.find_open(key)).or_else(known)
    }

    /// Claims a slot that may be given away. `true` when it was empty.
    ///
    /// Prefers an empty slot, then a settled slot of a key on probation, then a settled slot of a
    /// known and absent key. Opens idle slots of known keys on the way. The caller holds `filling`.
    fn claim(&self, now: Instant, epoch: &Epoch) -> Option<(usize, bool)> {
        let slots = || self.slots.iter().enumerate();
        let mut empty = slots().filter(|(_, slot)| slot.is_empty());
        if let Some((way, _)) = empty.find(|(_, slot)| slot.claim()) {
            return Some((way, true));
        }
        let second = u32::try_from(epoch.nanos(now) / 1_000_000_000).unwrap_or(u32::MAX);
        let settled = |slot: &Slot<P>| slot.cell.settles_in(now).is_zero();
        for (_, slot) in slots().filter(|(_, slot)| slot.kept_until().is_none()) {
            if slot.is_idle() && settled(slot) {
                slot.open(second.saturating_add(KEPT_SECS));
            }
        }
        let on_probation = |slot: &Slot<P>| slot.kept_until() == Some(0);
        let absent = |slot: &Slot<P>| slot.kept_until().is_some_and(|until| until <= second);
        let open = slots().filter(|(_, slot)| on_probation(slot));
        for (way, slot) in open.chain(slots().filter(|(_, slot)| absent(slot))) {
            if settled(slot) && slot.claim() {
                // The slot may have been used between the check and the claim.
                if settled(slot) {
                    return Some((way, false));
                }
                slot.unclaim();
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

#[cfg(all(test, loom))]
mod loom_tests {
    use std::{sync::Arc, time::Duration};

    use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    /// Keys are spaced so that no two have the same hash bits in a slot.
    const fn key(number: u64) -> KeyHash {
        KeyHash::new(number << 2)
    }

    /// Counts its users, and fails on a reset while in use.
    struct Watched(AtomicU64);

    impl Evictable for Watched {
        fn reset(&self) {
            assert_eq!(self.0.load(Relaxed), 0, "reset while in use");
        }
        fn settles_in(&self, _: Instant) -> Duration {
            Duration::ZERO
        }
    }

    /// A set and its clock. Keys from 100 up use all slots but one.
    fn nearly_full<P: Evictable + 'static>(
        make: impl Fn() -> P,
    ) -> (Arc<Set<P>>, Instant, Arc<Epoch>) {
        let (set, now, epoch) = (Set::new(make), Instant::now(), Epoch::new());
        for number in 1..WAYS as u64 {
            let entered = set.enter(key(100 + number), now, &epoch);
            assert!(matches!(entered, Entered::New(_)));
        }
        assert_eq!(epoch.nanos(now), 0);
        (Arc::new(set), now, Arc::new(epoch))
    }

    /// One request of a key. `false` when the set is full.
    fn visit(set: &Set<Watched>, number: u64, now: Instant, epoch: &Epoch) -> bool {
        let (Entered::Known(way) | Entered::New(way) | Entered::Evicting(way)) =
            set.enter(key(number), now, epoch)
        else {
            return false;
        };
        let slot = set.slot(way);
        assert!(slot.is_of(key(number)), "another key's slot");
        let others = slot.cell.0.fetch_add(number, Relaxed);
        assert_eq!(others, 0, "two keys in one slot");
        assert_eq!(slot.cell.0.fetch_sub(number, Relaxed), number);
        slot.leave();
        true
    }

    /// Two threads, each with its own key, compete for the only free slot of a set.
    ///
    /// At most one key uses it at a time, and never during a reset.
    #[test]
    fn a_slot_never_serves_two_keys() {
        loom::model(|| {
            let (set, now, epoch) = nearly_full(|| Watched(AtomicU64::new(0)));
            // One of the keys is in the table, and may be evicted during its look-up.
            assert!(visit(&set, 1, now, &epoch));
            let other = {
                let (set, epoch) = (Arc::clone(&set), Arc::clone(&epoch));
                loom::thread::spawn(move || visit(&set, 1, now, &epoch))
            };
            let mine = visit(&set, 2, now, &epoch);
            assert!(mine | other.join().unwrap());
        });
    }

    /// A known key comes while its slot is opened for another key.
    #[test]
    fn a_known_key_that_comes_back_keeps_its_slot() {
        loom::model(|| {
            let (set, now, epoch) = nearly_full(|| Watched(AtomicU64::new(0)));
            assert!(visit(&set, 1, now, &epoch) && visit(&set, 1, now, &epoch));
            let known = {
                let (set, epoch) = (Arc::clone(&set), Arc::clone(&epoch));
                loom::thread::spawn(move || visit(&set, 1, now, &epoch))
            };
            assert!(!visit(&set, 2, now, &epoch));
            assert!(known.join().unwrap());
            assert!(visit(&set, 1, now, &epoch));
        });
    }

    /// A known key comes while its slot is given away: exactly one of the two keys ends up with it.
    #[test]
    fn an_absent_known_key_either_keeps_or_loses_its_slot() {
        let mut model = loom::model::Builder::new();
        model.max_branches = 10_000;
        model.check(|| {
            let (set, now, epoch) = nearly_full(|| Watched(AtomicU64::new(0)));
            assert!(visit(&set, 1, now, &epoch) && visit(&set, 1, now, &epoch));
            assert!(!visit(&set, 2, now, &epoch), "this opens the slot");
            let later = now + Duration::from_secs(KEPT_SECS.into());
            let known = {
                let (set, epoch) = (Arc::clone(&set), Arc::clone(&epoch));
                loom::thread::spawn(move || visit(&set, 1, later, &epoch))
            };
            let other = visit(&set, 2, later, &epoch);
            assert!(known.join().unwrap() | other);
            let has_slot = [1, 2].map(|number| set.find(key(number)).is_some());
            assert_ne!(has_slot[0], has_slot[1]);
        });
    }

    /// A debt that a reset would lose.
    struct Debt(AtomicU64);

    impl Evictable for Debt {
        fn reset(&self) {
            assert_eq!(self.0.load(Relaxed), 0, "reset while in debt");
        }
        fn settles_in(&self, _: Instant) -> Duration {
            Duration::from_secs(self.0.load(Relaxed))
        }
    }

    /// One thread runs up a debt in a slot that looked settled to the other, which evicts.
    ///
    /// The debt and its key stay.
    #[test]
    fn a_slot_used_between_check_and_claim_keeps_its_key() {
        loom::model(|| {
            let (set, now, epoch) = nearly_full(|| Debt(AtomicU64::new(0)));
            let Entered::New(way) = set.enter(key(1), now, &epoch) else {
                panic!("the set has an empty slot");
            };
            set.slot(way).leave();
            let debtor = {
                let set = Arc::clone(&set);
                loom::thread::spawn(move || {
                    let way = set.find(key(1))?;
                    set.slot(way).cell.0.store(1, Relaxed);
                    set.slot(way).leave();
                    Some(way)
                })
            };
            let evicted = match set.enter(key(2), now, &epoch) {
                Entered::Evicting(way) => Some(way),
                Entered::Full => None,
                Entered::Known(_) | Entered::New(_) => panic!("no such key, and no empty slot"),
            };
            let in_debt = debtor.join().unwrap();
            assert_ne!(
                evicted.is_some(),
                in_debt.is_some(),
                "exactly one key has the slot"
            );
            assert_eq!(set.find(key(1)), in_debt);
        });
    }

    /// Two threads insert the same new key at once.
    #[test]
    fn a_new_key_gets_one_slot_from_two_threads() {
        loom::model(|| {
            let (set, now) = (Set::new(|| Watched(AtomicU64::new(0))), Instant::now());
            let (set, epoch) = (Arc::new(set), Arc::new(Epoch::new()));
            assert_eq!(epoch.nanos(now), 0);
            let enter = move |set: &Set<Watched>, epoch: &Epoch| match set.enter(key(7), now, epoch)
            {
                Entered::Known(way) | Entered::New(way) | Entered::Evicting(way) => way,
                Entered::Full => panic!("the set has empty slots"),
            };
            let other = {
                let (set, epoch) = (Arc::clone(&set), Arc::clone(&epoch));
                loom::thread::spawn(move || enter(&set, &epoch))
            };
            let mine = enter(&set, &epoch);
            assert_eq!(other.join().unwrap(), mine);
        });
    }
}
