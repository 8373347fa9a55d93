//! The slots: requests in flight, and whether anybody waits, in one atomic.
//!
//! One word, so that a release and the arrival of the first waiter cannot miss each other: they are two changes of the
//! same atomic, and one of them sees the other. Either the waiter sees the free slot and takes it, or the
//! release sees the waiter's mark and hands the slot on.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::sync::AtomicU32;

/// Set while somebody waits. Above any limit, so that one comparison answers both "full" and "others are first".
const WAITING: u32 = 1 << 31;

/// Requests in flight, and the mark of the queue.
///
/// The mark is changed only under the queue's lock, and under it says whether the queue holds anybody.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU32);

/// The slots as a release found them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before(u32);

impl Before {
    #[inline]
    pub(crate) fn somebody_waits(self) -> bool {
        self.0 & WAITING != 0
    }

    /// Nobody could have been let in, for lack of a slot or because others were first.
    #[inline]
    pub(crate) fn was_full(self, limit: u32) -> bool {
        self.0 >= limit
    }
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes a slot, if one is free and nobody waits for it.
    #[inline]
    pub(crate) fn enter(&self, limit: u32) -> bool {
        let mut word = self.0.load(Relaxed);
        while word < limit {
            match self
                .0
                .compare_exchange_weak(word, word + 1, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Gives a slot back. When [somebody waits](Before::somebody_waits) the caller has to hand it on.
    #[inline]
    #[must_use]
    pub(crate) fn leave(&self) -> Before {
        Before(self.0.fetch_sub(1, Release))
    }

    /// Takes a slot, or leaves the mark that makes the next one to leave look into the queue. Under the queue's lock,
    /// and only while nobody waits.
    pub(crate) fn enter_or_mark(&self, limit: u32) -> bool {
        let mut word = self.0.load(Relaxed);
        loop {
            let (next, entered) = if word < limit {
                (word + 1, true)
            } else {
                (word | WAITING, false)
            };
            match self.0.compare_exchange_weak(word, next, AcqRel, Relaxed) {
                Ok(_) => return entered,
                Err(now) => word = now,
            }
        }
    }

    /// Takes a free slot for the first in the queue; `last` takes the mark away, nobody being left. Under the queue's
    /// lock.
    pub(crate) fn grant(&self, limit: u32, last: bool) -> bool {
        let mut word = self.0.load(Relaxed);
        while word & !WAITING < limit {
            let next = if last {
                (word + 1) & !WAITING
            } else {
                word + 1
            };
            match self.0.compare_exchange_weak(word, next, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes the mark away: the last one left the queue unserved. Under the queue's lock.
    pub(crate) fn unmark(&self) {
        self.0.fetch_and(!WAITING, AcqRel);
    }

    /// Requests in flight.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.0.load(Relaxed) & !WAITING
    }

    /// Nobody is in flight and nobody waits.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.0.load(Acquire) == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_given_back_while_somebody_waits_is_not_for_newcomers() {
        let slots = Slots::new();
        assert!(slots.enter(1));
        assert!(!slots.enter_or_mark(1));
        assert!(
            slots.leave().somebody_waits(),
            "the one who leaves is told that somebody waits"
        );
        assert!(
            !slots.enter(1),
            "between the release and the handing-out, too"
        );
        assert!(slots.grant(1, true));
        assert!(!slots.leave().somebody_waits(), "nobody waits any more");
        assert!(slots.is_idle() && slots.enter(1));
    }

    #[test]
    fn more_in_flight_than_a_lowered_limit_is_full() {
        let slots = Slots::new();
        assert!(slots.enter(2) && slots.enter(2));
        assert!(!slots.enter(1) && !slots.enter_or_mark(1));
        assert!(
            slots.leave().somebody_waits() && !slots.grant(1, true),
            "one is still in"
        );
        assert!(slots.leave().somebody_waits() && slots.grant(1, true));
        assert_eq!(slots.in_flight(), 1);
    }
}
