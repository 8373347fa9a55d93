//! Four cells on a cache line, each a key's or nobody's.

use std::{array, sync::atomic::Ordering::Acquire};

use super::table::Mark;
use crate::{cell::Cell, sync::AtomicU64, terms::LiveQuota};

/// Cells in a set.
pub(super) const WAYS: usize = 4;

/// With one quota, exactly one cache line.
#[repr(align(64))]
pub(super) struct Set<const N: usize> {
    /// A key's mark and the count of what it gave back, or 0 where there is no key.
    tags: [AtomicU64; WAYS],
    words: [[AtomicU64; N]; WAYS],
}

impl<const N: usize> Set<N> {
    pub(super) fn new() -> Self {
        Self {
            tags: array::from_fn(|_| AtomicU64::new(0)),
            words: array::from_fn(|_| array::from_fn(|_| AtomicU64::new(0))),
        }
    }

    /// The cell of this key.
    #[inline]
    pub(super) fn find(&self, mark: Mark) -> Option<usize> {
        self.tags
            .iter()
            .position(|tag| mark.is_in(tag.load(Acquire)))
    }

    #[inline]
    pub(super) fn cell<'a>(&'a self, way: usize, quotas: &'a [LiveQuota; N]) -> Cell<'a, N> {
        Cell {
            quotas,
            tag: &self.tags[way],
            words: &self.words[way],
        }
    }
}
