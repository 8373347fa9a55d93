//! Which epoch and word a permit is counted in.

/// A word holds a stamp in its upper bits, and the number of waiting permits with that stamp below.
const STAMP: u32 = 32;
pub(super) const COUNT: u64 = (1 << STAMP) - 1;
/// Bits of an epoch's number.
pub(super) const EPOCH_BITS: u32 = 25;
/// A stamp holds the number of the epoch in its upper bits, and the place of the word below.
///
/// Epoch numbers repeat after 33 million closings: with the default stall after 2.6 years in which
/// the limit is always full and one response is neither read nor dropped.
const EPOCH: u32 = u32::BITS - EPOCH_BITS;
const PLACE: u32 = (1 << EPOCH) - 1;
/// The place of the word that always exists. The places of up to 64 shards follow.
pub(super) const OWN: u32 = 1;
pub(super) const FIRST_SHARD: u32 = 2;

/// Which epoch and word a permit is counted in.
///
/// Performance: four bytes; a larger permit makes each move of the call more expensive
/// (`instructions`, `fused-six@accept`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

impl Stamp {
    /// The permit holds its slot, and its response does not wait for the caller.
    pub(crate) const NONE: Self = Self(0);
    /// The permit's slot was reclaimed.
    pub(super) const LOST: Self = Self(u32::MAX);

    pub(super) fn new(epoch: u32, place: u32) -> Self {
        Self(epoch << EPOCH | place)
    }

    /// The stamp of the permits that are counted in this word.
    #[inline]
    pub(super) fn of(word: u64) -> Self {
        Self((word >> STAMP) as u32)
    }

    /// The word for this stamp with a count of 0.
    pub(super) fn word(self) -> u64 {
        u64::from(self.0) << STAMP
    }

    #[inline]
    pub(super) fn place(self) -> u32 {
        self.0 & PLACE
    }

    pub(super) fn epoch(self) -> u32 {
        self.0 >> EPOCH
    }
}
