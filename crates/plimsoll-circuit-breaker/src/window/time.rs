//! A window by time.

use std::sync::PoisonError;

use super::{
    ages::{SLICES, Slice, index},
    totals::{Judged, Totals},
};
use crate::sync::{
    AtomicBool, AtomicU32, AtomicU64, Mutex,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Counts of the current slice, and of the fifteen before it together.
///
/// A call costs one `fetch_add`, whatever the length of the window and the number of calls in it.
/// When a slice has ended, the next request (or failure) moves its counts to the slices before it,
/// under a lock, and subtracts the slice that becomes too old.
///
/// # Precision
///
/// An outcome is dropped between 15/16 of the period and the whole period after it was recorded. No
/// clock is read for a success: it is recorded in the slice of the latest request before its end.
///
/// # Races
///
/// While a thread moves a slice, a reader may see the window without that slice, for a few
/// instructions. No outcome is lost or counted twice.
#[derive(Debug)]
pub(super) struct Time {
    current: Counts,
    past: Counts,
    /// Whether the window may hold a failure or a slow call.
    troubled: AtomicBool,
    ends_at: AtomicU64,
    slices: Mutex<Slices>,
}

#[derive(Debug)]
struct Counts {
    calls: AtomicU32,
    failures: AtomicU32,
    slow: AtomicU32,
}

#[derive(Debug)]
struct Slices {
    current: Slice,
    past: [Totals; SLICES as usize],
}

impl Time {
    pub(super) fn new(period: u64) -> Self {
        let current = Slice::of(period);
        Self {
            current: Counts::new(),
            past: Counts::new(),
            troubled: AtomicBool::new(false),
            ends_at: AtomicU64::new(current.ends_at()),
            slices: Mutex::new(Slices {
                current,
                past: [Totals::default(); SLICES as usize],
            }),
        }
    }

    /// Whether the window has neither failures nor slow calls.
    pub(super) fn is_healthy(&self) -> bool {
        !self.troubled.load(Acquire)
    }

    /// Records a success.
    #[inline]
    pub(super) fn record_usual(&self) {
        self.current.calls.fetch_add(1, Relaxed);
    }

    pub(super) fn record(&self, judged: Judged) {
        if judged.failed {
            self.current.failures.fetch_add(1, AcqRel);
        }
        if judged.slow {
            self.current.slow.fetch_add(1, AcqRel);
        }
        self.current.calls.fetch_add(1, AcqRel);
        if judged.failed || judged.slow {
            self.troubled.store(true, Release);
        }
    }

    /// Moves the current slice to the past if it has ended.
    pub(super) fn turn(&self, now: u64) -> u64 {
        let ends_at = self.ends_at.load(Acquire);
        if now < ends_at {
            return ends_at;
        }
        let mut slices = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = slices.current.number();
        let started = slices.current.advance(now);
        if !started.is_empty() {
            // Cleared first, by a swap: a failure recorded before it is in the counts taken below,
            // and one recorded after it sets the flag again.
            self.troubled.swap(false, AcqRel);
            let mut sum = self.past.read();
            let moved = self.current.take();
            slices.past[index(ended)] = moved;
            sum.add(moved);
            for slice in started {
                sum.subtract(std::mem::take(&mut slices.past[index(slice)]));
            }
            self.past.store(sum);
            if sum.failures > 0 || sum.slow > 0 {
                self.troubled.store(true, Release);
            }
        }
        let ends_at = slices.current.ends_at();
        self.ends_at.store(ends_at, Release);
        ends_at
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.past.read();
        totals.add(self.current.read());
        totals
    }

    pub(super) fn reset(&self) {
        let mut slices = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        slices.past = [Totals::default(); SLICES as usize];
        self.troubled.store(false, Release);
        self.past.store(Totals::default());
        self.current.take();
    }
}

impl Counts {
    fn new() -> Self {
        Self {
            calls: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            slow: AtomicU32::new(0),
        }
    }

    fn read(&self) -> Totals {
        Totals {
            calls: self.calls.load(Acquire),
            failures: self.failures.load(Acquire),
            slow: self.slow.load(Acquire),
        }
    }

    fn take(&self) -> Totals {
        Totals {
            calls: self.calls.swap(0, AcqRel),
            failures: self.failures.swap(0, AcqRel),
            slow: self.slow.swap(0, AcqRel),
        }
    }

    fn store(&self, totals: Totals) {
        self.calls.store(totals.calls, Release);
        self.failures.store(totals.failures, Release);
        self.slow.store(totals.slow, Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    const FAILED: Judged = Judged {
        failed: true,
        slow: false,
    };

    #[test]
    fn an_outcome_that_is_recorded_while_its_slice_ends_is_counted_once() {
        loom::model(|| {
            let window = Arc::new(Time::new(160));
            window.record_usual();
            let writer = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record(FAILED);
                })
            };
            window.turn(10);
            writer.join().unwrap();
            let both = Totals {
                calls: 2,
                failures: 1,
                slow: 0,
            };
            assert_eq!(window.totals(), both);
            assert!(!window.is_healthy(), "the failure is seen");
        });
    }

    #[test]
    fn two_threads_that_find_a_slice_ended_move_it_once() {
        loom::model(|| {
            let window = Arc::new(Time::new(160));
            window.record(FAILED);
            let other = {
                let window = Arc::clone(&window);
                thread::spawn(move || window.turn(10))
            };
            assert_eq!(window.turn(10), 20);
            assert_eq!(other.join().unwrap(), 20);
            let one = Totals {
                calls: 1,
                failures: 1,
                slow: 0,
            };
            assert_eq!(window.totals(), one);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const GOOD: Judged = Judged {
        failed: false,
        slow: false,
    };

    proptest! {
        /// The model keeps every outcome with the number of its slice.
        #[test]
        fn the_slices_match_a_queue_of_all_outcomes(
            steps in proptest::collection::vec((0_u64..700, any::<bool>(), any::<bool>(), 0_u8..50), 0..600),
        ) {
            let window = Time::new(1_600);
            let mut model: VecDeque<(u64, Judged)> = VecDeque::new();
            let mut now = 0;
            for (pause, failed, slow, dice) in steps {
                // Mostly short pauses, and some longer than the window.
                now += if dice < 3 { pause * 5 } else { pause / 10 };
                if dice == 49 {
                    window.reset();
                    model.clear();
                }
                window.turn(now);
                let judged = Judged { failed: failed && dice % 2 == 0, slow: slow && dice % 3 == 0 };
                let unusual = judged.failed || judged.slow;
                if unusual || !window.is_healthy() {
                    window.record(judged);
                } else {
                    window.record_usual();
                }
                let slice = now / 100;
                model.push_back((slice, judged));
                while model.front().is_some_and(|(of, _)| of + SLICES <= slice) {
                    model.pop_front();
                }
                let count = |of: fn(&Judged) -> bool| {
                    model.iter().filter(|(_, judged)| of(judged)).count() as u32
                };
                let expected = Totals {
                    calls: model.len() as u32,
                    failures: count(|judged| judged.failed),
                    slow: count(|judged| judged.slow),
                };
                prop_assert_eq!(window.totals(), expected, "at {}", now);
            }
        }
    }

    #[test]
    fn an_outcome_leaves_between_fifteen_sixteenths_and_the_whole_period() {
        for (recorded, leaves) in [(0, 1_600), (50, 1_600), (99, 1_600), (100, 1_700)] {
            let window = Time::new(1_600);
            window.turn(recorded);
            window.record(GOOD);
            for now in recorded..leaves {
                window.turn(now);
                assert_eq!(window.totals().calls, 1, "{recorded} at {now}");
            }
            window.turn(leaves);
            assert_eq!(window.totals(), Totals::default(), "{recorded} at {leaves}");
        }
    }

    #[test]
    fn threads_lose_no_outcome_while_slices_end() {
        let window = Time::new(u64::from(u32::MAX));
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let window = &window;
                scope.spawn(move || {
                    for i in 0..10_000_u32 {
                        let failed = (i * 7 + thread) % 3 == 0;
                        let judged = Judged {
                            failed,
                            slow: false,
                        };
                        if failed || !window.is_healthy() {
                            window.record(judged);
                        } else {
                            window.record_usual();
                        }
                        window.turn(u64::from(i) * 100_000);
                    }
                });
            }
        });
        assert_eq!(window.totals().calls, 40_000);
        let failures =
            (0..4_u32).map(|thread| (0..10_000).filter(|i| (i * 7 + thread) % 3 == 0).count());
        assert_eq!(window.totals().failures as usize, failures.sum::<usize>());
    }
}
