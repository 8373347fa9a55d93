//! The time of the next departure, and whether requests are queued, in one atomic.

use plimsoll_core::policy::Live;

/// Interval, count and period: a rate that can be changed while it is in use.
pub(super) type Rate = Live<3, GENERATIONS>;

/// Bits for the queue's mark and for the generation of the rate.
const MARK_BITS: u32 = 1;
const GENERATION_BITS: u32 = 4;
const GENERATIONS: usize = 1 << GENERATION_BITS;
const TIME_SHIFT: u32 = MARK_BITS + GENERATION_BITS;
const WAITING: u64 = 1;
/// The longest pause after a departure, in nanoseconds: more than 2 years.
const MAX_PAUSE: u64 = 1 << 56;
/// The latest time, in nanoseconds. Later times read as this one, so that no departure overflows:
/// after 16 years the clock has stopped.
pub(super) const MAX_NOW: u64 = (1 << (u64::BITS - TIME_SHIFT)) - 1 - MAX_PAUSE;

/// The time of the next departure, the generation of its rate, and the queue's mark.
///
/// While the queue is empty, the word is changed by compare-and-swap. While the mark is set, it is
/// changed under the queue's lock only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// A word without the mark: the queue is empty.
    #[inline]
    pub(super) const fn new(time: u64, generation: u64) -> Self {
        Self((time << TIME_SHIFT) | ((generation % GENERATIONS as u64) << MARK_BITS))
    }

    #[inline]
    pub(super) const fn time(self) -> u64 {
        self.0 >> TIME_SHIFT
    }

    /// The generation, modulo [`GENERATIONS`].
    #[inline]
    pub(super) const fn generation(self) -> u64 {
        (self.0 >> MARK_BITS) % GENERATIONS as u64
    }

    #[inline]
    pub(super) const fn is_of(self, generation: u64) -> bool {
        self.generation() == generation % GENERATIONS as u64
    }

    #[inline]
    pub(super) const fn has_waiters(self) -> bool {
        self.0 & WAITING != 0
    }

    pub(super) const fn marked(self, waiting: bool) -> Self {
        Self(self.0 & !WAITING | waiting as u64)
    }

    /// The same word at another time.
    pub(super) const fn at(self, time: u64) -> Self {
        Self::new(time, self.generation()).marked(self.has_waiters())
    }

    /// The word under a new rate. The rest of the pause scales with the interval: it lasts the same
    /// number of intervals.
    pub(super) fn adopted(self, rate: &Rate, generation: u64, now: u64) -> Self {
        let ([interval], [old]) = (rate.at(generation), rate.at(self.generation()));
        let left = u128::from(self.time().saturating_sub(now)) * u128::from(interval);
        let left = left.div_ceil(u128::from(old.max(1)));
        let left = u64::try_from(left).map_or(MAX_PAUSE, |left| left.min(MAX_PAUSE));
        let time = if left == 0 { self.time() } else { now + left };
        Self::new(time, generation).marked(self.has_waiters())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_at_the_latest_time_fits_a_word() {
        for waiting in [false, true] {
            let word = Word::new(MAX_NOW + MAX_PAUSE, 15).marked(waiting);
            assert_eq!(word.time(), MAX_NOW + MAX_PAUSE);
            assert_eq!((word.generation(), word.has_waiters()), (15, waiting));
        }
    }
}
