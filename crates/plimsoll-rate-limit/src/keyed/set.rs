//! Four cells on a cache line. Each belongs to one key, or is empty.

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed},
};

use super::hashed::{self, Mark};
use crate::{cell::Cell, sync::AtomicU64, terms::LiveQuota};

/// Cells in a set: as many as fit a cache line.
pub(super) const WAYS: usize = 4;

/// One set. With one quota, exactly one cache line.
#[repr(align(64))]
pub(super) struct Set<const N: usize> {
    /// A key's mark and the count of its refunded tokens, or 0 in an empty cell.
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

    /// The cell of this key, if the key is known.
    #[inline]
    pub(super) fn find_known(&self, mark: Mark) -> Option<usize> {
        self.tags
            .iter()
            .position(|tag| mark.is_known_in(tag.load(Acquire)))
    }

    /// The cell of this key, known or on probation.
    pub(super) fn find(&self, mark: Mark) -> Option<usize> {
        self.tags
            .iter()
            .position(|tag| mark.is_in(tag.load(Acquire)))
    }

    /// Makes the key of this cell known. `false` when another key has taken the cell over.
    pub(super) fn promote(&self, way: usize, mark: Mark) -> bool {
        let mut tag = self.tags[way].load(Acquire);
        // Refunds change the tag, too.
        while mark.is_in(tag) {
            let known = hashed::known(tag);
            match self.tags[way].compare_exchange_weak(tag, known, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(current) => tag = current,
            }
        }
        false
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
