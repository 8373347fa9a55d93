//! Calls in flight that are slow already.
//!
//! A call that hangs has no outcome, so a window of outcomes cannot show it. Calls without a head
//! are counted by the time of their admission instead:
//!
//! - Time is divided into numbered slices of an eighth of `slow_call`. A ring holds the number of
//!   calls in flight that were admitted in each. A permit carries the number of its slice.
//! - A call that has its head, or ends, is counted out of its slice, by a compare-and-swap.
//! - The first request after the end of a slice starts the next one. Under a lock it moves the calls
//!   of slices that ended `slow_call` ago to the overdue ones.
//! - A call whose slice is no longer in the ring is counted out of the overdue calls, under the
//!   lock. That happens to slow calls only.
//!
//! So any request can read how many calls are slow, without a timer, and independent of the number
//! of calls. A call counts as slow `slow_call` to 9/8 of that after its admission, and never
//! earlier.

use std::{collections::VecDeque, sync::PoisonError};

use crate::sync::{
    AtomicU32, AtomicU64, Mutex, MutexGuard,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Slices in `slow_call`: 8, so a call is seen at most an eighth later. More slices need a larger
/// ring. `a_hanging_call_counts_within_an_eighth_of_slow_call` fails with fewer.
const SLICES: u64 = 8;
/// Slots of the ring: 16. Nine are in use, and up to seven more after `slow_call` was raised. While
/// all are in use, no slice is started.
const SLOTS: u32 = 16;
/// Bits of the number of a slice, as a permit carries it: numbers repeat after 16 million slices.
const NUMBER_BITS: u32 = 24;
/// The number of no slice: the tag of calls that are not counted here.
pub(crate) const NOT_COUNTED: u32 = 0;

/// Counts calls in flight by the slice of their admission.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// The number of the current slice.
    number: AtomicU32,
    /// For each slice its number, and the calls in flight.
    slots: [AtomicU64; SLOTS as usize],
    /// Calls that have taken `slow_call`. Written under the lock.
    overdue: AtomicU32,
    /// The length of a slice, in nanoseconds.
    length: u64,
    /// When [`turn`](Self::turn) has something to do.
    turn_at: AtomicU64,
    slices: Mutex<Slices>,
}

/// The times of the slices in the ring.
#[derive(Debug)]
struct Slices {
    /// When the current slice ends.
    ends_at: u64,
    /// Those that have ended, the oldest first.
    ended: VecDeque<Ended>,
}

/// A slice that has ended and is still in the ring.
#[derive(Debug)]
struct Ended {
    number: u32,
    at: u64,
}

/// The number of a slice and its calls, in one word.
#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    const EMPTY: Self = Self(0);

    const fn of(number: u32) -> Self {
        Self((number as u64) << u32::BITS)
    }

    const fn is_of(self, number: u32) -> bool {
        self.0 >> u32::BITS == number as u64
    }

    const fn calls(self) -> u32 {
        self.0 as u32
    }
}

impl Slices {
    /// Removes the oldest slice if it ended `slow_call` ago.
    fn over(&mut self, now: u64, slow_call: u64) -> Option<Ended> {
        let oldest = self.ended.front()?;
        let is_over = now.saturating_sub(oldest.at) >= slow_call;
        is_over.then(|| self.ended.pop_front()).flatten()
    }
}

impl InFlight {
    /// For a `slow_call` of this length, which may change later: slices keep their length.
    pub(crate) fn new(slow_call: u64) -> Self {
        let first = 1;
        let slots = std::array::from_fn(|index| {
            let is_first = index == first as usize;
            AtomicU64::new(
                if is_first {
                    Slot::of(first)
                } else {
                    Slot::EMPTY
                }
                .0,
            )
        });
        Self {
            number: AtomicU32::new(first),
            slots,
            overdue: AtomicU32::new(0),
            length: (slow_call / SLICES).max(1),
            turn_at: AtomicU64::new(0),
            slices: Mutex::new(Slices {
                ends_at: 0,
                ended: VecDeque::with_capacity(SLOTS as usize),
            }),
        }
    }

    fn slot(&self, number: u32) -> &AtomicU64 {
        &self.slots[(number % SLOTS) as usize]
    }

    /// Counts a call that is admitted now. Returns its slice, or [`NOT_COUNTED`] when the slice has
    /// just ended.
    pub(crate) fn enter(&self) -> u32 {
        let number = self.number.load(Acquire);
        let slot = self.slot(number);
        let mut word = Slot(slot.load(Relaxed));
        while word.is_of(number) {
            match slot.compare_exchange_weak(word.0, word.0 + 1, AcqRel, Relaxed) {
                Ok(_) => return number,
                Err(now) => word = Slot(now),
            }
        }
        NOT_COUNTED
    }

    /// Counts a call out of its slice. Returns `false` when the call is overdue: it stays counted.
    pub(crate) fn leave_in_time(&self, number: u32) -> bool {
        let slot = self.slot(number);
        let mut word = Slot(slot.load(Relaxed));
        while word.is_of(number) && word.calls() > 0 {
            match slot.compare_exchange_weak(word.0, word.0 - 1, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = Slot(now),
            }
        }
        false
    }

    /// Counts a call out.
    pub(crate) fn leave(&self, number: u32) {
        if number != NOT_COUNTED && !self.leave_in_time(number) {
            // The thread that moves the slice holds the lock until the call is among the overdue.
            let _slices = self.lock();
            let overdue = self.overdue.load(Relaxed);
            self.overdue.store(overdue.saturating_sub(1), Release);
        }
    }

    /// Calls in flight that have taken `slow_call`, as of the latest [`turn`](Self::turn).
    #[inline]
    pub(crate) fn overdue(&self) -> u32 {
        self.overdue.load(Acquire)
    }

    /// Starts a slice if the current one has ended, and moves calls that have taken `slow_call` to
    /// the overdue ones. Returns when it should be called next.
    pub(crate) fn turn(&self, now: u64, slow_call: u64) -> u64 {
        let turn_at = self.turn_at.load(Acquire);
        if now < turn_at {
            return turn_at;
        }
        let mut slices = self.lock();
        self.expire(&mut slices, now, slow_call);
        if now >= slices.ends_at {
            if slices.ended.len() + 1 < SLOTS as usize {
                self.start(&mut slices);
                // After a pause the slice may have ended `slow_call` ago.
                self.expire(&mut slices, now, slow_call);
            }
            slices.ends_at = now.saturating_add(self.length);
        }
        let oldest = slices.ended.front();
        let over_at = oldest.map_or(u64::MAX, |slice| slice.at.saturating_add(slow_call));
        let turn_at = slices.ends_at.min(over_at);
        self.turn_at.store(turn_at, Release);
        turn_at
    }

    /// Moves the calls of slices that ended `slow_call` ago to the overdue ones.
    fn expire(&self, slices: &mut Slices, now: u64, slow_call: u64) {
        let mut overdue = self.overdue.load(Relaxed);
        while let Some(slice) = slices.over(now, slow_call) {
            let word = Slot(self.slot(slice.number).swap(Slot::EMPTY.0, AcqRel));
            overdue = overdue.saturating_add(word.calls());
        }
        self.overdue.store(overdue, Release);
    }

    /// Starts a slice. The calls of the current one were admitted before its end.
    fn start(&self, slices: &mut Slices) {
        let number = self.number.load(Relaxed);
        let at = slices.ends_at;
        slices.ended.push_back(Ended { number, at });
        let next = match (number + 1) % (1 << NUMBER_BITS) {
            NOT_COUNTED => SLOTS,
            next => next,
        };
        self.slot(next).store(Slot::of(next).0, Release);
        self.number.store(next, Release);
    }

    /// Removes all calls. Called after the new generation was published: a call that is counted
    /// meanwhile sees that its generation has ended.
    pub(crate) fn reset(&self) {
        let mut slices = self.lock();
        while let Some(slice) = slices.ended.pop_front() {
            self.slot(slice.number).swap(Slot::EMPTY.0, AcqRel);
        }
        let number = self.number.load(Relaxed);
        self.slot(number).swap(Slot::of(number).0, AcqRel);
        self.overdue.store(0, Release);
    }

    fn lock(&self) -> MutexGuard<'_, Slices> {
        self.slices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls in flight, overdue ones included.
    #[cfg(test)]
    fn all(&self) -> u32 {
        let slots = self
            .slots
            .iter()
            .map(|slot| Slot(slot.load(Acquire)).calls());
        slots.sum::<u32>() + self.overdue()
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    const SLOW: u64 = 80;

    #[test]
    fn a_call_that_ends_while_its_slice_becomes_overdue_is_counted_out_once() {
        loom::model(|| {
            let calls = Arc::new(InFlight::new(SLOW));
            calls.turn(0, SLOW);
            let (first, _second) = (calls.enter(), calls.enter());
            calls.turn(10, SLOW);
            let ending = {
                let calls = Arc::clone(&calls);
                thread::spawn(move || calls.leave(first))
            };
            calls.turn(10 + SLOW, SLOW);
            ending.join().unwrap();
            assert_eq!((calls.overdue(), calls.all()), (1, 1));
        });
    }

    #[test]
    fn a_call_that_enters_while_its_slice_ends_is_counted_once() {
        loom::model(|| {
            let calls = Arc::new(InFlight::new(SLOW));
            calls.turn(0, SLOW);
            let entering = {
                let calls = Arc::clone(&calls);
                thread::spawn(move || {
                    let number = calls.enter();
                    assert_eq!(calls.all(), u32::from(number != NOT_COUNTED));
                    calls.leave(number);
                })
            };
            calls.turn(10, SLOW);
            entering.join().unwrap();
            assert_eq!(calls.all(), 0);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLOW: u64 = 800;

    #[test]
    fn a_hanging_call_counts_within_an_eighth_of_slow_call() {
        // One call, and a request at every moment.
        for admitted in 0..250 {
            let calls = InFlight::new(SLOW);
            let mut counted = None;
            for now in 0..2_000 {
                calls.turn(now, SLOW);
                if now == admitted {
                    calls.enter();
                }
                if calls.overdue() == 1 && counted.is_none() {
                    counted = Some(now - admitted);
                }
            }
            let counted = counted.expect("the call is seen");
            assert!((SLOW..=SLOW * 9 / 8).contains(&counted), "{counted}");
        }
    }

    #[test]
    fn an_overdue_call_is_counted_out_at_its_end() {
        let calls = InFlight::new(SLOW);
        calls.turn(0, SLOW);
        let (hangs, also_hangs) = (calls.enter(), calls.enter());
        calls.turn(100, SLOW);
        let later = calls.enter();
        calls.turn(900, SLOW);
        assert_eq!((calls.overdue(), calls.all()), (2, 3));
        assert!(
            !calls.leave_in_time(hangs),
            "a head that comes late changes nothing"
        );
        assert_eq!(calls.overdue(), 2);
        calls.leave(hangs);
        assert_eq!((calls.overdue(), calls.all()), (1, 2));
        assert!(calls.leave_in_time(later));
        calls.leave(also_hangs);
        calls.leave(NOT_COUNTED);
        assert_eq!((calls.overdue(), calls.all()), (0, 0));
    }

    #[test]
    fn slices_that_are_not_over_are_kept_when_the_ring_is_full() {
        let calls = InFlight::new(SLOW);
        let mut entered = Vec::new();
        for now in 0..40 {
            // As if `slow_call` had been raised a hundred times.
            calls.turn(now * 100, 100 * SLOW);
            entered.push(calls.enter());
        }
        assert_eq!(calls.all(), 40);
        for number in entered {
            calls.leave(number);
        }
        assert_eq!(calls.all(), 0);
    }

    proptest! {
        /// The model keeps the admission of each call.
        #[test]
        fn overdue_calls_match_a_list_of_all_calls(
            steps in proptest::collection::vec((0_u64..60, 0_u8..4, any::<usize>()), 0..400),
        ) {
            let calls = InFlight::new(SLOW);
            let mut model: Vec<(u64, u32)> = Vec::new();
            let mut now = 0;
            for (pause, step, which) in steps {
                now += pause;
                calls.turn(now, SLOW);
                match step {
                    0 | 1 => model.push((now, calls.enter())),
                    2 if !model.is_empty() => {
                        let (_, number) = model.swap_remove(which % model.len());
                        calls.leave(number);
                    }
                    _ => {}
                }
                let older = |age| model.iter().filter(|(at, _)| now - at >= age).count() as u32;
                // A request may come up to 60 after the end of a slice.
                prop_assert!((older(SLOW + SLOW / 8 + 60)..=older(SLOW)).contains(&calls.overdue()));
                prop_assert_eq!(calls.all() as usize, model.len());
            }
        }
    }
}
