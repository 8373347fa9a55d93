//! A key's hash, and what of it is kept in a cell.

use crate::cell::RETURNED_BITS;

/// A key's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed(pub(super) u64);

/// What is left of a hash in the tag of a known key's cell, above the count of released tokens. Odd.
///
/// The cell of a key on probation has the even number below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// The bit of a tag that tells a known key from one on probation.
const KNOWN: u64 = 1 << RETURNED_BITS;

impl Hashed {
    /// Two of `sets` sets, from different halves of the hash.
    #[inline]
    pub(super) fn places(self, sets: usize) -> [usize; 2] {
        let within = |half: u64| ((half * sets as u64) >> 32) as usize;
        [within(self.0 >> 32), within(self.0 & 0xffff_ffff)]
    }

    /// 39 bits that the places leave open: multiplied, so that all bits of the hash are in them.
    #[inline]
    pub(super) fn mark(self) -> Mark {
        Mark((self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> RETURNED_BITS) | 1)
    }
}

impl Mark {
    /// Whether this is the cell of this key, and the key is known.
    #[inline]
    pub(super) fn is_known_in(self, tag: u64) -> bool {
        tag >> RETURNED_BITS == self.0
    }

    /// Whether this is the cell of this key, known or on probation.
    pub(super) fn is_in(self, tag: u64) -> bool {
        tag != 0 && self.is_known_in(known(tag))
    }

    /// The first tag of this key's cell. Never 0, since the count of released tokens begins at 1.
    pub(super) fn on_probation(self) -> u64 {
        ((self.0 << RETURNED_BITS) & !KNOWN) | 1
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
