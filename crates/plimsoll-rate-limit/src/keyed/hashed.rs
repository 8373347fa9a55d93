//! A key's hash, and the part of it that a cell stores.

use crate::token::REFUNDED_BITS;

/// A key's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed(pub(super) u64);

/// The part of a hash in the tag of a known key's cell, above the count of refunded tokens. Odd.
///
/// The cell of a key on probation has the even number below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// The bit of a tag that marks a known key. A key on probation has 0 there.
const KNOWN: u64 = 1 << REFUNDED_BITS;

impl Hashed {
    /// Two of `sets` sets, from different halves of the hash.
    #[inline]
    pub(super) fn places(self, sets: usize) -> [usize; 2] {
        let within = |half: u64| ((half * sets as u64) >> 32) as usize;
        [within(self.0 >> 32), within(self.0 & 0xffff_ffff)]
    }

    /// 39 bits that mix all bits of the hash, so that keys with the same places have different
    /// marks.
    #[inline]
    pub(super) fn mark(self) -> Mark {
        Mark((self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> REFUNDED_BITS) | 1)
    }
}

impl Mark {
    /// Whether `tag` is of this key's cell, and the key is known.
    #[inline]
    pub(super) fn is_known_in(self, tag: u64) -> bool {
        tag >> REFUNDED_BITS == self.0
    }

    /// Whether `tag` is of this key's cell, known or on probation.
    pub(super) fn is_in(self, tag: u64) -> bool {
        tag != 0 && self.is_known_in(known(tag))
    }

    /// The first tag of this key's cell. Never 0, since the count of refunded tokens begins at 1.
    pub(super) fn on_probation(self) -> u64 {
        ((self.0 << REFUNDED_BITS) & !KNOWN) | 1
    }
}

/// Whether the key of this cell is known: its second request has found the cell.
pub(super) fn is_known(tag: u64) -> bool {
    tag & KNOWN != 0
}

/// The tag of the same cell once its key is known.
pub(super) fn known(tag: u64) -> u64 {
    tag | KNOWN
}
