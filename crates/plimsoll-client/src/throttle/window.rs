//! Counts of recent ticks, in buckets that expire when they are read.

use std::array;

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Buckets of a window. The oldest bucket expires as a whole, so the window is 23 to 24 buckets
/// long.
pub(crate) const BUCKETS: usize = 24;

/// A count for each of the last [`BUCKETS`] ticks.
///
/// A bucket is one word with its tick and its count. A bucket of an expired tick reads as empty,
/// and the next write to it starts at zero.
#[derive(Debug)]
pub(crate) struct Window([AtomicU64; BUCKETS]);

const TICK: u32 = 32;

fn tick_of(word: u64) -> u32 {
    (word >> TICK) as u32
}

/// Whether a tick is later than another one. Ticks may wrap.
pub(crate) fn is_later(tick: u32, than: u32) -> bool {
    (tick.wrapping_sub(than) as i32) > 0
}

impl Window {
    pub(crate) fn new() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }

    fn bucket(&self, tick: u32) -> &AtomicU64 {
        &self.0[tick as usize % BUCKETS]
    }

    /// Counts one event in this tick. A tick older than the window is left out.
    #[inline]
    pub(crate) fn add(&self, tick: u32) {
        let bucket = self.bucket(tick);
        let mut word = bucket.load(Relaxed);
        loop {
            if tick_of(word) == tick {
                // The count cannot reach the tick's bits: that takes four billion events in one
                // bucket.
                bucket.fetch_add(1, Relaxed);
                return;
            }
            // A word of 0 was never written.
            if word != 0 && is_later(tick_of(word), tick) {
                return;
            }
            let fresh = u64::from(tick) << TICK | 1;
            match bucket.compare_exchange_weak(word, fresh, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Takes one event of this tick back, unless its bucket has expired.
    #[inline]
    pub(crate) fn take_back(&self, tick: u32) {
        let less = |word: u64| (tick_of(word) == tick && word as u32 > 0).then(|| word - 1);
        _ = self.bucket(tick).fetch_update(Relaxed, Relaxed, less);
    }

    /// Events of the ticks up to `until` that are later than `after`, at most [`BUCKETS`] before `now`.
    pub(crate) fn between(&self, after: u32, until: u32, now: u32) -> u64 {
        let counts = self.0.iter().map(|bucket| {
            let word = bucket.load(Relaxed);
            let tick = tick_of(word);
            let is_recent = (now.wrapping_sub(tick) as usize) < BUCKETS;
            if is_recent && is_later(tick, after) && !is_later(tick, until) {
                u64::from(word as u32)
            } else {
                0
            }
        });
        counts.sum()
    }

    /// Events in the last `buckets` ticks up to `tick`. `buckets` is at most [`BUCKETS`].
    #[inline]
    pub(crate) fn count(&self, buckets: usize, tick: u32) -> u64 {
        let counts = self.0.iter().map(|bucket| {
            let word = bucket.load(Relaxed);
            let age = tick.wrapping_sub(tick_of(word));
            if (age as usize) < buckets {
                u64::from(word as u32)
            } else {
                0
            }
        });
        counts.sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_expire_without_writes() {
        let window = Window::new();
        (0..10).for_each(|_| window.add(100));
        window.add(110);
        assert_eq!(window.count(BUCKETS, 110), 11);
        assert_eq!(window.count(BUCKETS, 123), 11);
        assert_eq!(window.count(BUCKETS, 124), 1);
        assert_eq!(window.count(BUCKETS, 134), 0);
    }

    #[test]
    fn the_latest_buckets_can_be_counted_alone() {
        let window = Window::new();
        (90..=110).for_each(|tick| window.add(tick));
        assert_eq!(window.count(4, 110), 4);
        assert_eq!(window.count(4, 112), 2);
        assert_eq!(window.count(4, 114), 0);
    }

    #[test]
    fn an_expired_bucket_starts_at_zero_and_late_events_are_left_out() {
        let window = Window::new();
        window.add(5);
        window.add(5 + BUCKETS as u32);
        window.add(5);
        assert_eq!(window.count(BUCKETS, 5 + BUCKETS as u32), 1);
    }

    #[test]
    fn an_event_is_taken_back_from_its_own_tick_only() {
        let window = Window::new();
        window.add(5);
        window.add(6);
        window.take_back(5);
        window.take_back(5);
        assert_eq!(window.count(BUCKETS, 6), 1, "never below zero");
        window.take_back(6 + BUCKETS as u32);
        assert_eq!(window.count(BUCKETS, 6), 1, "another tick of this bucket");
    }

    #[test]
    fn events_between_two_ticks_are_counted() {
        let window = Window::new();
        (100..=110).for_each(|tick| window.add(tick));
        assert_eq!(window.between(99, 110, 110), 11);
        assert_eq!(window.between(102, 108, 110), 6);
        assert_eq!(window.between(108, 102, 110), 0);
        assert_eq!(window.between(99, 110, 127), 7, "the oldest have expired");
    }

    #[test]
    fn ticks_may_wrap() {
        let window = Window::new();
        window.add(u32::MAX);
        window.add(0);
        assert_eq!(window.count(BUCKETS, 0), 2);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;

    use super::*;

    /// An event is taken back while another thread starts the bucket of a later tick.
    #[test]
    fn a_late_event_takes_nothing_from_a_new_tick() {
        loom::model(|| {
            let window = Arc::new(Window::new());
            window.add(1);
            let tick = 1 + BUCKETS as u32;
            let other = {
                let window = Arc::clone(&window);
                loom::thread::spawn(move || window.add(tick))
            };
            window.take_back(1);
            other.join().unwrap();
            assert_eq!(window.count(BUCKETS, tick), 1);
        });
    }

    /// Two threads write to a bucket of an expired tick: both events are counted, and no old ones.
    #[test]
    fn a_bucket_that_restarts_counts_both_threads() {
        loom::model(|| {
            let window = Arc::new(Window::new());
            window.add(1);
            let tick = 1 + BUCKETS as u32;
            let other = {
                let window = Arc::clone(&window);
                loom::thread::spawn(move || window.add(tick))
            };
            window.add(tick);
            other.join().unwrap();
            assert_eq!(window.count(BUCKETS, tick), 2);
        });
    }
}
