//! When the next request may leave, and whether anybody waits, in one atomic.

use plimsoll_core::Live;

/// Interval, count and period: a rate that can be changed while it is in use.
pub(super) type Rate = Live<3, GENERATIONS>;

/// Bits for the mark and for the generation of the rate.
const MARK_BITS: u32 = 1;
const GENERATION_BITS: u32 = 4;
const GENERATIONS: usize = 1 << GENERATION_BITS;
const TIME_SHIFT: u32 = MARK_BITS + GENERATION_BITS;
const WAITING: u64 = 1;
/// The longest time that a departure keeps the next one waiting: more than 2 years.
const MAX_PAUSE: u64 = 1 << 56;
/// Later moments read as this one, so that none overflows. After 16 years the clock stands still.
pub(super) const MAX_NOW: u64 = (1 << (u64::BITS - TIME_SHIFT)) - 1 - MAX_PAUSE;

/// The moment of the next departure, the generation of the rate it was reckoned at, and the mark of the queue.
///
/// While nobody waits it is changed by compare-and-swap; while the mark is set, under the queue's lock alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// Nobody waits.
    #[inline]
    pub(super) const fn new(time: u64, generation: u64) -> Self {
        Self((time << TIME_SHIFT) | ((generation % GENERATIONS as u64) << MARK_BITS))
    }

    #[inline]
    pub(super) const fn time(self) -> u64 {
        self.0 >> TIME_SHIFT
    }

    /// The generation's last four bits.
    #[inline]
    pub(super) const fn generation(self) -> u64 {
        (self.0 >> MARK_BITS) % GENERATIONS as u64
    }

    #[inline]
    pub(super) const fn is_of(self, generation: u64) -> bool {
        self.generation() == generation % GENERATIONS as u64
    }

    #[inline]
    pub(super) const fn somebody_waits(self) -> bool {
        self.0 & WAITING != 0
    }

    pub(super) const fn marked(self, waiting: bool) -> Self {
        Self(self.0 & !WAITING | waiting as u64)
    }

    /// The same word at another moment.
    pub(super) const fn at(self, time: u64) -> Self {
        Self::new(time, self.generation()).marked(self.somebody_waits())
    }

    /// The word under a new rate. The rest of the pause scales with the interval: it lasts as many
    /// intervals as before.
    pub(super) fn adopted(self, rate: &Rate, generation: u64, now: u64) -> Self {
        let ([interval], [old]) = (rate.at(generation), rate.at(self.generation()));
        let left = u128::from(self.time().saturating_sub(now)) * u128::from(interval);
        let left = left.div_ceil(u128::from(old.max(1)));
        let left = u64::try_from(left).map_or(MAX_PAUSE, |left| left.min(MAX_PAUSE));
        let time = if left == 0 { self.time() } else { now + left };
        Self::new(time, generation).marked(self.somebody_waits())
    }
}
