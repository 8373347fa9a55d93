//! The slots: requests in flight, and whether anybody waits.
//!
//! One word says it, so that a release and the arrival of the first waiter cannot miss each other: they are two changes
//! of the same atomic, and one of them sees the other. Either the waiter sees the free slot and takes it, or the
//! release sees the waiter's mark and hands the slot on.
//!
//! # Spread over lanes
//!
//! Where two threads have met at the word, slots that are given back stay in [lanes](crate::limit::lanes), and the word counts
//! them as taken. Then the word says as well which limit they are spread under. That begins only while a good part of the
//! limit is free and nobody waits, and no more are taken meanwhile than that limit has. Before anybody is
//! refused, or waits, or comes in under another limit, the lanes are closed, and what was free in them goes back to the
//! word in the same operation that ends the spread: a word that is not spread is exact. So nobody is refused while
//! a slot is free, nobody waits while a lane is open, and never are more in flight than the limit.

use std::sync::{
    OnceLock,
    atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use plimsoll_core::{lane, lanes};

use crate::{limit::lanes::Lanes, sync::AtomicU64};

/// Set while somebody waits. Marks are above any limit, so that one comparison answers "full", "others are first"
/// and "look elsewhere".
const WAITING: u64 = 1 << 63;
/// Set, beside the limit that slots are spread under, while somebody closes the lanes: none is opened any more.
const CLOSING: u64 = 1 << 62;
/// The limit that slots are spread under, or 0 when they are not; never together with [`WAITING`].
const SPREAD: u64 = COUNT << SPREAD_SHIFT;
const SPREAD_SHIFT: u32 = 31;
/// Slots that are taken, those in lanes included: as a limit, at most 2^30.
const COUNT: u64 = (1 << 31) - 1;

/// The limit that slots are spread under, in its place.
const fn spread_under(limit: u32) -> u64 {
    (limit as u64) << SPREAD_SHIFT
}

/// Requests in flight, and the mark of the queue.
///
/// The queue's mark is changed only under the queue's lock, and under it says whether the queue holds anybody.
#[derive(Debug)]
pub(crate) struct Slots {
    word: AtomicU64,
    /// Made when two threads first meet, so that a cell of a keyed limit has none.
    lanes: OnceLock<Lanes>,
}

/// The slots as a release found them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before(u64);

/// The slot stayed in an open lane: nobody waits.
const IN_LANE: Before = Before(0);

impl Before {
    #[inline]
    pub(crate) fn somebody_waits(self) -> bool {
        self.0 & WAITING != 0
    }

    /// Says no at the price of a comparison: only a yes has to be asked again.
    #[inline]
    pub(crate) fn may_have_been_full(self, limit: u32) -> bool {
        self.0 >= limit.into()
    }

    /// Nobody could have been let in, for lack of a slot or because others were first.
    pub(crate) fn was_full(self, limit: u32) -> bool {
        self.0 & !(SPREAD | CLOSING) >= limit.into()
    }

    /// How many were in flight, the one who left included; not known while slots are spread.
    #[inline]
    pub(crate) fn in_flight(self) -> Option<u32> {
        (self.0 & SPREAD == 0 && self.0 != IN_LANE.0).then_some((self.0 & COUNT) as u32)
    }
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            lanes: OnceLock::new(),
        }
    }

    /// Takes a slot, if one is free and nobody waits for it.
    #[inline]
    pub(crate) fn enter(&self, limit: u32) -> bool {
        self.enter_by(lane, limit)
    }

    /// Gives a slot back. When [somebody waits](Before::somebody_waits) the caller has to hand it on.
    #[inline]
    #[must_use]
    pub(crate) fn leave(&self) -> Before {
        self.leave_by(lane)
    }

    /// Releases `slots` slots at once, as [`leave`](Self::leave) releases one.
    #[must_use]
    pub(crate) fn leave_all_of(&self, slots: u32) -> Before {
        Before(self.word.fetch_sub(slots.into(), Release))
    }

    #[inline]
    fn enter_by(&self, lane: impl Fn() -> usize, limit: u32) -> bool {
        let word = self.word.load(Relaxed);
        if word < limit.into() {
            let entered = self
                .word
                .compare_exchange_weak(word, word + 1, Acquire, Relaxed);
            return match entered {
                Ok(_) => true,
                Err(word) => self.enter_crowded(word, lane(), limit),
            };
        }
        word & SPREAD != 0 && self.enter_spread(word, lane(), limit)
    }

    #[inline]
    fn leave_by(&self, lane: impl Fn() -> usize) -> Before {
        if self.word.load(Relaxed) > COUNT {
            return self.leave_marked(lane);
        }
        Before(self.word.fetch_sub(1, Release))
    }

    /// Slots are spread, or somebody waits.
    #[inline(never)]
    fn leave_marked(&self, lane: impl Fn() -> usize) -> Before {
        if self.word.load(Relaxed) & SPREAD != 0
            && let Some(lanes) = self.lanes.get()
            && lanes.put(lane())
        {
            return IN_LANE;
        }
        Before(self.word.fetch_sub(1, Release))
    }

    /// Another thread was at the word.
    #[cold]
    fn enter_crowded(&self, word: u64, lane: usize, limit: u32) -> bool {
        self.spread(limit);
        self.enter_slowly(word, lane, limit)
    }

    // Apart, as is leaving them, so that a limit that is not contended pays for a look at the word, and no more.
    #[inline(never)]
    fn enter_spread(&self, word: u64, lane: usize, limit: u32) -> bool {
        let lanes = self.lanes.get();
        lanes.is_some_and(|lanes| lanes.take(lane, limit)) || self.enter_slowly(word, lane, limit)
    }

    /// Takes a slot from the word, last seen as `word`; when that has none, after those in lanes went back there.
    #[inline(never)]
    fn enter_slowly(&self, mut word: u64, lane: usize, limit: u32) -> bool {
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
        if word & SPREAD != 0
            && let Some(lanes) = self.lanes.get()
        {
            // So that the slot can stay in it when it is given back.
            lanes.open(lane, limit, || {
                self.word.load(Acquire) & (SPREAD | CLOSING) == spread_under(limit)
            });
        }
        true
    }

    #[cfg(test)]
    fn with_lanes(lanes: usize) -> Self {
        Self {
            word: AtomicU64::new(0),
            lanes: Lanes::new(lanes).into(),
        }
    }

    /// From now on slots may stay in lanes, if those pay and a quarter of the limit is free: where it is nearly used up, the
    /// lanes would soon be closed again.
    fn spread(&self, limit: u32) {
        let count = lanes();
        if Lanes::pay(count, limit) {
            self.lanes.get_or_init(|| Lanes::new(count));
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

    /// Brings the slots in lanes back to the word. Who comes while another does waits for it.
    #[cold]
    fn close(&self) {
        let Some(lanes) = self.lanes.get() else {
            return;
        };
        let mut closings = lanes.lock();
        let spread = self.word.load(Acquire) & SPREAD;
        if spread == 0 {
            return;
        }
        self.word.fetch_or(CLOSING, AcqRel);
        let free = u64::from(lanes.close(&mut closings));
        // Both are set, and nobody else takes them away.
        self.word.fetch_sub(free + spread + CLOSING, AcqRel);
    }

    /// Takes a slot, or leaves the mark that makes the next one to leave look into the queue. Under the queue's lock,
    /// and only while nobody waits.
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

    /// Takes a free slot for the first in the queue; `last` takes the mark away, nobody being left. Under the queue's
    /// lock.
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

    /// Takes the mark away: the last one left the queue unserved. Under the queue's lock.
    pub(crate) fn unmark(&self) {
        self.word.fetch_and(!WAITING, AcqRel);
    }

    /// Requests in flight. Exact while nobody comes or goes.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        let word = self.word.load(Relaxed);
        let taken = (word & COUNT) as u32;
        match self.lanes.get() {
            Some(lanes) if word & SPREAD != 0 => taken.saturating_sub(lanes.free()),
            _ => taken,
        }
    }

    /// Nobody is in flight and nobody waits.
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
