//! Sets that are allocated together, when their first key arrives.

use std::array;

use super::set::Set;
use crate::sync::AtomicU64;

/// Sets in a page: 64 KiB per quota, so a table grows in small steps.
pub(super) const SETS_PER_PAGE: usize = 1024;
/// Sets that share one overflow bucket: eight cells, so overflow adds a sixteenth to the memory of
/// one quota.
///
/// `keys_take_less_than_24_bytes_each_and_nearly_all_have_a_cell` fails when it is smaller. With
/// more sets per bucket, fewer new callers are admitted in a flood (`--example floods`).
const SETS_PER_OVERFLOW: usize = 2;

pub(super) struct Page<const N: usize> {
    sets: Box<[Set<N>]>,
    overflow: Box<[[AtomicU64; N]]>,
}

impl<const N: usize> Page<N> {
    /// At most [`SETS_PER_PAGE`] sets.
    pub(super) fn new(sets: usize) -> Self {
        Self {
            sets: (0..sets).map(|_| Set::new()).collect(),
            overflow: (0..sets.div_ceil(SETS_PER_OVERFLOW))
                .map(|_| array::from_fn(|_| AtomicU64::new(0)))
                .collect(),
        }
    }

    #[inline]
    pub(super) fn set(&self, place: usize) -> &Set<N> {
        &self.sets[place % SETS_PER_PAGE]
    }

    /// The overflow bucket for keys with this place.
    pub(super) fn overflow(&self, place: usize) -> &[AtomicU64; N] {
        &self.overflow[place % SETS_PER_PAGE / SETS_PER_OVERFLOW]
    }

    pub(super) fn bytes(&self) -> usize {
        self.sets.len() * size_of::<Set<N>>() + self.overflow.len() * size_of::<[AtomicU64; N]>()
    }
}
