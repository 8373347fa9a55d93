//! A window by number of calls.

use std::sync::PoisonError;

use super::{
    ages::{SLICES, Slice, index},
    totals::{Judged, Totals},
};
use crate::sync::{
    AtomicI64, AtomicU64, Mutex,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Outcomes per word of a ring.
const BITS: u64 = u64::BITS as u64;

/// The last N outcomes, one bit each, and a running count of the failures among them; the same for
/// slow calls.
///
/// A true sliding window: outcome N+1 replaces the first. Recording is lock-free and independent of
/// N: a success in a full window of successes is two loads, any other success over a success one
/// `fetch_add` and a few loads.
///
/// # Ages
///
/// Outcomes older than the longest age are dropped. That age is divided into slices. The first
/// request of a slice keeps the number of outcomes until then, and clears the outcomes from before
/// the oldest slice, under a lock. In each slice the first N successes are recorded; after them the
/// whole window is of this slice, and further successes change nothing.
///
/// # Races
///
/// A bit is changed by one atomic swap, and only the thread that changed it updates the count. When
/// no thread is recording, the count *is* the number of set bits (checked by the loom tests). The
/// possible errors are small:
///
/// - While k threads are between their swap and their count, the count is off by at most k.
/// - A thread that stalls between claiming its slot and writing it, for N further outcomes or until
///   the slot has become too old, leaves one slot wrong until the ring wraps around.
/// - The same stall across a [`reset`](Self::reset) puts one old outcome in the new window.
#[derive(Debug)]
pub(super) struct Count {
    /// Outcomes so far; the next one's slot is this modulo `size`.
    recorded: AtomicU64,
    /// `recorded` when all outcomes in the window are of the current slice.
    full_at: AtomicU64,
    /// Outcomes before this number do not count: they are too old, or before a reset.
    floor: AtomicU64,
    size: u64,
    failed: Ring,
    slow: Option<Ring>,
    ends_at: AtomicU64,
    ages: Mutex<Ages>,
}

/// Bits, and how many of them are set.
#[derive(Debug)]
struct Ring {
    /// Signed: it may be below zero between the steps of two threads.
    set: AtomicI64,
    words: Box<[AtomicU64]>,
}

#[derive(Debug)]
struct Ages {
    current: Slice,
    /// For each of the latest slices, the number of outcomes before it.
    before: [u64; SLICES as usize],
}

impl Count {
    /// An empty window of `size` outcomes, at least one.
    pub(super) fn new(size: u32, max_age: u64, slow: bool) -> Self {
        let size = u64::from(size.max(1));
        let current = Slice::of(max_age);
        Self {
            recorded: AtomicU64::new(0),
            full_at: AtomicU64::new(size),
            floor: AtomicU64::new(0),
            size,
            failed: Ring::new(size),
            slow: slow.then(|| Ring::new(size)),
            ends_at: AtomicU64::new(current.ends_at()),
            ages: Mutex::new(Ages {
                current,
                before: [0; SLICES as usize],
            }),
        }
    }

    /// Whether the window is full of recent outcomes without a failure. One more success then
    /// changes nothing: a healthy service writes nothing.
    #[inline]
    pub(super) fn is_healthy(&self) -> bool {
        self.failed.set.load(Relaxed) == 0
            && self.recorded.load(Relaxed) >= self.full_at.load(Relaxed)
    }

    /// Records an outcome.
    pub(super) fn record(&self, judged: Judged) {
        let number = self.recorded.fetch_add(1, Relaxed);
        let slot = number % self.size;
        self.failed.put(slot, judged.failed);
        if let Some(slow) = &self.slow {
            slow.put(slot, judged.slow);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let floor = self.floor.load(Acquire);
        let recorded = self.recorded.load(Relaxed).saturating_sub(floor);
        Totals {
            calls: recorded.min(self.size) as u32,
            failures: self.failed.count(),
            slow: self.slow.as_ref().map_or(0, Ring::count),
        }
    }

    /// Drops the outcomes that are too old, if the current slice has ended.
    pub(super) fn turn(&self, now: u64) -> u64 {
        let ends_at = self.ends_at.load(Acquire);
        if now < ends_at {
            return ends_at;
        }
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = self.recorded.load(Relaxed);
        let started = ages.current.advance(now);
        if !started.is_empty() {
            for slice in started {
                ages.before[index(slice)] = recorded;
            }
            // The slice after the current one in the ring is the oldest that counts.
            let oldest = ages.before[index(ages.current.number() + 1)];
            self.drop_before(oldest, recorded);
            self.full_at.store(recorded + self.size, Relaxed);
        }
        let ends_at = ages.current.ends_at();
        self.ends_at.store(ends_at, Release);
        ends_at
    }

    /// Clears the outcomes before number `until`. Each is cleared once.
    fn drop_before(&self, until: u64, recorded: u64) {
        let floor = self.floor.load(Relaxed);
        let oldest = floor.max(recorded.saturating_sub(self.size));
        if until <= floor {
            return;
        }
        let mut number = oldest;
        while number < until {
            let slot = number % self.size;
            let in_word = (BITS - slot % BITS).min(self.size - slot);
            let bits = in_word.min(until - number);
            let mask = (u64::MAX >> (BITS - bits)) << (slot % BITS);
            self.failed.clear(slot, mask);
            if let Some(slow) = &self.slow {
                slow.clear(slot, mask);
            }
            number += bits;
        }
        self.floor.store(until, Release);
    }

    /// Clears the window word by word together with the count, so that concurrent outcomes leave no
    /// error in the count.
    pub(super) fn reset(&self) {
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in (0..self.size).step_by(BITS as usize) {
            self.failed.clear(slot, u64::MAX);
            if let Some(slow) = &self.slow {
                slow.clear(slot, u64::MAX);
            }
        }
        let recorded = self.recorded.load(Relaxed);
        self.floor.store(recorded, Release);
        self.full_at.store(recorded + self.size, Relaxed);
        ages.before = [recorded; SLICES as usize];
    }
}

impl Ring {
    fn new(size: u64) -> Self {
        let words = (0..size.div_ceil(BITS)).map(|_| AtomicU64::new(0));
        Self {
            set: AtomicI64::new(0),
            words: words.collect(),
        }
    }

    fn put(&self, slot: u64, set: bool) {
        let word = &self.words[(slot / BITS) as usize];
        let bit = 1 << (slot % BITS);
        // In the common case a success replaces a success, and there is nothing to write.
        if (word.load(Relaxed) & bit != 0) != set {
            self.turn(word, bit, set);
        }
    }

    /// Flips a bit, and updates the count if this thread flipped it.
    #[inline(never)]
    fn turn(&self, word: &AtomicU64, bit: u64, set: bool) {
        if set {
            if word.fetch_or(bit, AcqRel) & bit == 0 {
                self.set.fetch_add(1, AcqRel);
            }
        } else if word.fetch_and(!bit, AcqRel) & bit != 0 {
            self.set.fetch_sub(1, AcqRel);
        }
    }

    /// Clears the bits of `mask` in the word of a slot.
    fn clear(&self, slot: u64, mask: u64) {
        let word = &self.words[(slot / BITS) as usize];
        let cleared = word.fetch_and(!mask, AcqRel) & mask;
        let count = cleared.count_ones();
        self.set.fetch_sub(i64::from(count), AcqRel);
    }

    #[inline]
    fn count(&self) -> u32 {
        self.set.load(Relaxed).max(0) as u32
    }

    #[cfg(test)]
    fn set_bits(&self) -> u32 {
        let words = self.words.iter();
        words.map(|word| word.load(Relaxed).count_ones()).sum()
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    const AGE: u64 = 160;

    fn judged(failed: bool) -> Judged {
        Judged {
            failed,
            slow: false,
        }
    }

    fn is_exact(window: &Count) -> bool {
        window.totals().failures == window.failed.set_bits()
    }

    #[test]
    fn after_all_writers_the_count_is_the_number_of_set_bits() {
        loom::model(|| {
            // One slot, so that the writers meet on one bit.
            let window = Arc::new(Count::new(1, AGE, false));
            window.record(judged(true));
            let writers = [false, true].map(|failed| {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record(judged(failed));
                })
            });
            for writer in writers {
                writer.join().unwrap();
            }
            assert!(is_exact(&window));
        });
    }

    #[test]
    fn a_concurrent_reset_leaves_no_error_in_the_count() {
        loom::model(|| {
            let window = Arc::new(Count::new(2, AGE, false));
            window.record(judged(true));
            let writer = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record(judged(true));
                    window.record(judged(false));
                })
            };
            window.reset();
            writer.join().unwrap();
            assert!(is_exact(&window));
        });
    }

    #[test]
    fn outcomes_that_become_too_old_leave_no_error_in_the_count() {
        loom::model(|| {
            let window = Arc::new(Count::new(2, AGE, false));
            window.record(judged(true));
            let writer = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record(judged(true));
                })
            };
            window.turn(5 * AGE);
            writer.join().unwrap();
            assert!(is_exact(&window));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn judged(failed: bool) -> Judged {
        Judged {
            failed,
            slow: false,
        }
    }

    fn record(window: &Count, failed: bool) -> u32 {
        window.record(judged(failed));
        window.totals().failures
    }

    proptest! {
        /// The model keeps the last outcomes with the numbers of their slices.
        #[test]
        fn the_ring_matches_a_queue_of_the_last_outcomes(
            size in 1_u32..200,
            outcomes in proptest::collection::vec((any::<bool>(), any::<bool>(), 0_u8..40, 0_u64..60), 0..1_000),
        ) {
            let window = Count::new(size, 1_600, true);
            let mut model: VecDeque<(u64, Judged)> = VecDeque::new();
            let mut now = 0;
            for (failed, slow, dice, pause) in outcomes {
                now += if dice == 1 { pause * 40 } else { pause / 4 };
                if dice == 0 {
                    window.reset();
                    model.clear();
                }
                window.turn(now);
                let slice = now / 100;
                while model.front().is_some_and(|(of, _)| of + SLICES <= slice) {
                    model.pop_front();
                }
                if model.len() == size as usize {
                    model.pop_front();
                }
                let judged = Judged { failed: failed && dice % 2 == 0, slow: slow && dice % 3 == 0 };
                let unusual = judged.failed || judged.slow;
                model.push_back((slice, judged));
                let count = |of: fn(&Judged) -> bool| {
                    model.iter().filter(|(_, judged)| of(judged)).count() as u32
                };
                let expected = Totals {
                    calls: model.len() as u32,
                    failures: count(|judged| judged.failed),
                    slow: count(|judged| judged.slow),
                };
                // While slow calls are counted, the short cut is not used.
                if unusual || window.totals().slow > 0 || !window.is_healthy() {
                    window.record(judged);
                }
                prop_assert_eq!(window.totals(), expected, "at {}", now);
            }
        }
    }

    #[test]
    fn a_failure_leaves_after_exactly_size_outcomes() {
        let window = Count::new(3, 1_600, false);
        assert_eq!(record(&window, true), 1);
        assert_eq!([record(&window, false), record(&window, false)], [1, 1]);
        assert_eq!(
            record(&window, false),
            0,
            "the fourth outcome replaces the first"
        );
    }

    #[test]
    fn a_success_is_recorded_until_the_whole_window_is_of_this_slice() {
        let window = Count::new(3, 1_600, false);
        for _ in 0..3 {
            assert!(!window.is_healthy());
            record(&window, false);
        }
        assert!(window.is_healthy());
        window.turn(100);
        assert!(!window.is_healthy());
        assert_eq!(window.totals().calls, 3);
        window.turn(1_600);
        assert_eq!(window.totals().calls, 0, "the three are too old");
    }

    #[test]
    fn threads_leave_the_count_exact() {
        let window = Count::new(100, u64::MAX, false);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let window = &window;
                scope.spawn(move || {
                    for i in 0..10_000_u32 {
                        record(window, (i * 7 + thread) % 3 == 0);
                    }
                });
            }
        });
        let totals = window.totals();
        assert_eq!(
            (totals.failures, totals.calls),
            (window.failed.set_bits(), 100)
        );
    }
}
