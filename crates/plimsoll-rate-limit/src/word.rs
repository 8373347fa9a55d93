//! One quota's state in one atomic: the algorithm's state and the generation of its settings.

/// Bits of a word that hold the algorithm's state. As a time: 36 years in nanoseconds.
pub(crate) const STATE_BITS: u32 = 60;
/// Generations of settings that fit the remaining bits of the word.
pub(crate) const GENERATIONS: usize = 1 << (u64::BITS - STATE_BITS);
/// The longest refill time of a quota, in nanoseconds: 417 days.
pub(crate) const MAX_REFILL: u64 = 1 << 55;
/// The latest time, in nanoseconds. Later times read as this one, so that no state overflows: after
/// 35 years the clock has stopped.
pub(crate) const MAX_NOW: u64 = (1 << STATE_BITS) - 1 - MAX_REFILL;

/// An algorithm's state, and below it a generation. All bits zero: nothing was ever taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    #[inline]
    pub(crate) const fn new(generation: u64, state: u64) -> Self {
        Self((state << (u64::BITS - STATE_BITS)) | (generation % GENERATIONS as u64))
    }

    #[inline]
    pub(crate) const fn state(self) -> u64 {
        self.0 >> (u64::BITS - STATE_BITS)
    }

    /// The generation, modulo [`GENERATIONS`].
    #[inline]
    pub(crate) const fn generation(self) -> u64 {
        self.0 % GENERATIONS as u64
    }

    #[inline]
    pub(crate) const fn is_of(self, generation: u64) -> bool {
        self.generation() == generation % GENERATIONS as u64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_largest_debt_at_the_latest_time_fits_a_word() {
        let word = Word::new(GENERATIONS as u64 - 1, MAX_NOW + MAX_REFILL);
        assert_eq!(word.state(), MAX_NOW + MAX_REFILL);
        assert_eq!(word.generation(), GENERATIONS as u64 - 1);
    }
}
