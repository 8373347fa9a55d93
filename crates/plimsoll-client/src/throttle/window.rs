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
            if word != 0 && (tick.wrapping_sub(tick_of(word)) as i32) < 0 {
                return;
            }
            let fresh = u64::from(tick) << TICK | 1;
            match bucket.compare_exchange_weak(word, fresh, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
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
