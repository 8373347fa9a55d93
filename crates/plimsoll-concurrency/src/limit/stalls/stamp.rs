//! Where a permit is counted.

/// A word is a stamp above, and below how many permits with that stamp wait for their caller.
const STAMP: u32 = 32;
pub(super) const COUNT: u64 = (1 << STAMP) - 1;
/// Bits of an epoch's number.
pub(super) const EPOCH_BITS: u32 = 25;
/// A stamp is the number of the epoch above, and below the place of the word.
///
/// Numbers of epochs repeat after 33 million closings: with the default stall after 2.6 years in
/// which the limit is always full, and in which a response is neither read nor dropped.
const EPOCH: u32 = u32::BITS - EPOCH_BITS;
const PLACE: u32 = (1 << EPOCH) - 1;
/// The place of the word that is always there. Those of up to 64 lanes follow.
pub(super) const OWN: u32 = 1;
pub(super) const FIRST_LANE: u32 = 2;

/// Where a permit is counted: the epoch, and the word.
///
/// Performance: four bytes, since a larger permit makes each move of the call dearer
/// (`instructions`, `fused-six@accept`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

impl Stamp {
    /// It holds its slot, and nothing is expected of its caller.
    pub(crate) const NONE: Self = Self(0);
    /// Its slot was reclaimed.
    pub(super) const LOST: Self = Self(u32::MAX);

    pub(super) fn new(epoch: u32, place: u32) -> Self {
        Self(epoch << EPOCH | place)
    }

    /// That of the permits that are counted in this word.
    #[inline]
    pub(super) fn of(word: u64) -> Self {
        Self((word >> STAMP) as u32)
    }

    /// The word of permits with this stamp, while there are none.
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
