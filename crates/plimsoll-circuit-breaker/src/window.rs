//! The sliding window: how many of the last N calls failed.

use crate::sync::{
    AtomicI64, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};

/// Outcomes per word of the ring.
const BITS: u64 = u64::BITS as u64;

/// The last N outcomes, one bit each, and a running count of the failures among them.
///
/// A true sliding window: outcome N+1 replaces the first. Recording is lock-free and independent of
/// N: a success in a full window of successes is two loads, any other success over a success one
/// `fetch_add` and two loads.
///
/// # Races
///
/// A bit is changed by one atomic swap, and only the thread that changed it updates the count. When
/// no thread is recording, the count *is* the number of set bits (checked by the loom tests). The
/// possible errors are small:
///
/// - While k threads are between their swap and their count, the count is off by at most k.
/// - A thread that stalls between claiming its slot and writing it, for N further outcomes,
///   overwrites a newer outcome: one slot is wrong until the ring wraps around.
/// - The same stall across a [`reset`](Self::reset) puts one old outcome in the new window.
///
/// Performance: aligned, so that the words every call writes do not share a cache line with the
/// state every call reads.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Window {
    /// Outcomes since the last reset; the next one's slot is this modulo `size`.
    recorded: AtomicU64,
    /// Set bits. Signed: it may be below zero between the steps of two threads.
    failures: AtomicI64,
    size: u64,
    failed: Box<[AtomicU64]>,
}

impl Window {
    /// An empty window of `size` outcomes, at least one.
    pub(crate) fn new(size: u32) -> Self {
        let size = u64::from(size.max(1));
        Self {
            recorded: AtomicU64::new(0),
            failures: AtomicI64::new(0),
            size,
            failed: (0..size.div_ceil(BITS))
                .map(|_| AtomicU64::new(0))
                .collect(),
        }
    }

    /// Records an outcome, and returns the failures in the window.
    pub(crate) fn record(&self, failed: bool) -> u32 {
        if !failed && self.is_healthy() {
            return 0;
        }
        self.take_in(failed)
    }

    /// Whether the window is full without a failure. One more success then changes nothing: a
    /// healthy service writes nothing.
    #[inline]
    pub(crate) fn is_healthy(&self) -> bool {
        self.failures.load(Relaxed) == 0 && self.recorded.load(Relaxed) >= self.size
    }

    fn take_in(&self, failed: bool) -> u32 {
        let slot = self.recorded.fetch_add(1, Relaxed) % self.size;
        let word = &self.failed[(slot / BITS) as usize];
        let bit = 1 << (slot % BITS);
        // In the common case a success replaces a success, and there is nothing to write.
        if (word.load(Relaxed) & bit != 0) != failed {
            self.turn(word, bit, failed);
        }
        self.failures()
    }

    /// Flips a bit, and updates the count if this thread flipped it.
    #[inline(never)]
    fn turn(&self, word: &AtomicU64, bit: u64, failed: bool) {
        if failed {
            if word.fetch_or(bit, AcqRel) & bit == 0 {
                self.failures.fetch_add(1, AcqRel);
            }
        } else if word.fetch_and(!bit, AcqRel) & bit != 0 {
            self.failures.fetch_sub(1, AcqRel);
        }
    }

    /// Failures in the window.
    #[inline]
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Relaxed).max(0) as u32
    }

    /// Outcomes in the window: up to its size.
    #[inline]
    pub(crate) fn calls(&self) -> u32 {
        self.recorded.load(Relaxed).min(self.size) as u32
    }

    /// Clears the window word by word together with the count, so that concurrent outcomes leave no
    /// error in the count.
    pub(crate) fn reset(&self) {
        for word in &self.failed {
            let cleared = word.swap(0, AcqRel).count_ones();
            self.failures.fetch_sub(i64::from(cleared), AcqRel);
        }
        self.recorded.store(0, Relaxed);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    fn set_bits(window: &Window) -> u32 {
        window
            .failed
            .iter()
            .map(|word| word.load(Relaxed).count_ones())
            .sum()
    }

    #[test]
    fn after_all_writers_the_count_is_the_number_of_set_bits() {
        loom::model(|| {
            // One slot, so that the writers meet on one bit.
            let window = Arc::new(Window::new(1));
            window.record(true);
            let writers = [false, true].map(|failed| {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record(failed);
                })
            });
            for writer in writers {
                writer.join().unwrap();
            }
            assert_eq!(window.failures(), set_bits(&window));
        });
    }

    #[test]
    fn a_concurrent_reset_leaves_no_error_in_the_count() {
        loom::model(|| {
            let window = Arc::new(Window::new(2));
            window.record(true);
            let writer = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record(true);
                    window.record(false);
                })
            };
            window.reset();
            writer.join().unwrap();
            assert_eq!(window.failures(), set_bits(&window));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_ring_matches_a_queue_of_the_last_outcomes(
            size in 1_u32..200,
            outcomes in proptest::collection::vec((any::<bool>(), 0_u8..40), 0..1_000),
        ) {
            let window = Window::new(size);
            let mut model = VecDeque::new();
            for (failed, dice) in outcomes {
                if dice == 0 {
                    window.reset();
                    model.clear();
                }
                if model.len() == size as usize {
                    model.pop_front();
                }
                model.push_back(failed);
                let failures = window.record(failed);
                prop_assert_eq!(failures as usize, model.iter().filter(|failed| **failed).count());
                prop_assert_eq!(window.calls() as usize, model.len());
            }
        }
    }

    #[test]
    fn a_failure_leaves_after_exactly_size_outcomes() {
        let window = Window::new(3);
        assert_eq!(window.record(true), 1);
        assert_eq!([window.record(false), window.record(false)], [1, 1]);
        assert_eq!(
            window.record(false),
            0,
            "the fourth outcome replaces the first"
        );
    }

    #[test]
    fn threads_leave_the_count_exact() {
        let window = Window::new(100);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let window = &window;
                scope.spawn(move || {
                    for i in 0..10_000_u32 {
                        window.record((i * 7 + thread) % 3 == 0);
                    }
                });
            }
        });
        let set: u32 = window
            .failed
            .iter()
            .map(|word| word.load(Relaxed).count_ones())
            .sum();
        assert_eq!((window.failures(), window.calls()), (set, 100));
    }
}
