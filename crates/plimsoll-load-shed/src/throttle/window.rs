//! Counts of the last while, in buckets that are over when they are read too late.

use std::array;

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Buckets of a window. The oldest is given up as a whole, so the window is between 23 and 24 of them long.
pub(crate) const BUCKETS: usize = 24;

/// A count for each of the last [`BUCKETS`] ticks.
///
/// A bucket is one word, its tick and its count: a bucket of a tick that is long over counts as empty, whoever looks, and
/// whoever writes first starts it anew.
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

    /// One more in this tick. One that is over by more than the window is left out.
    #[inline]
    pub(crate) fn add(&self, tick: u32) {
        let bucket = self.bucket(tick);
        let mut word = bucket.load(Relaxed);
        loop {
            if tick_of(word) == tick {
                // A bucket of seconds does not see the four billion that would reach into the tick.
                bucket.fetch_add(1, Relaxed);
                return;
            }
            // A word of 0 was never written.
            if word != 0 && tick.wrapping_sub(tick_of(word)).cast_signed() < 0 {
                return;
            }
            let fresh = u64::from(tick) << TICK | 1;
            match bucket.compare_exchange_weak(word, fresh, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// How many there were in this many ticks, of which `tick` is the last: [`BUCKETS`] at most.
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
    fn counts_expire_though_nobody_writes() {
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
    fn a_bucket_starts_anew_and_what_comes_late_is_left_out() {
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

    /// Two threads meet at a bucket of which the tick is over: both are counted, and nothing of what was there.
    #[test]
    fn a_bucket_that_starts_anew_loses_nobody() {
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
