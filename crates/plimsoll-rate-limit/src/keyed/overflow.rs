//! What was taken by keys that have no cell any more, or never had one.

use crate::{
    cell::{Cell, Empty, Token},
    sync::AtomicU64,
};

/// The overflow buckets of a key's two places, which it shares with all keys that have a place
/// there.
///
/// From one of them at least as much has been taken as by the key itself: its last cell was in one
/// of the two, and a request without a cell takes from the bucket that has the most of both. So
/// both must have what is asked for.
///
/// Only used under the key's lock, so that all requests of a key see each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overflow<'a, const N: usize>(pub(super) [Cell<'a, N>; 2]);

impl<'a, const N: usize> Overflow<'a, N> {
    /// Takes what is missing from a cell to have taken as much as from both buckets.
    pub(super) fn raise(self, cell: Cell<'_, N>, now: u64) {
        for bucket in self.0 {
            cell.raise_to(bucket.words, now);
        }
    }

    /// Takes for a key without a cell. Returns the bucket that was taken from, too.
    pub(super) fn take(self, now: u64, cost: u32) -> Result<(u8, Token<N>), Empty> {
        let (which, more, less) = self.in_order(now);
        more.look_for(now, cost)?;
        less.look_for(now, cost)?;
        more.raise_to(less.words, now);
        Ok((which, more.take(now, cost)?))
    }

    /// Takes a cost that is known only now, even if that leaves a debt.
    pub(super) fn charge(self, now: u64, cost: u32) {
        let (_, more, less) = self.in_order(now);
        more.raise_to(less.words, now);
        more.charge(now, cost);
    }

    /// The bucket from which more was taken, with its index, and the other one.
    ///
    /// With several quotas the other one may lack more of one of them.
    fn in_order(self, now: u64) -> (u8, Cell<'a, N>, Cell<'a, N>) {
        let [first, second] = self.0;
        if second.rank(now) > first.rank(now) {
            (1, second, first)
        } else {
            (0, first, second)
        }
    }
}

/// Remembers what was taken from a cell that is given to another key.
pub(super) fn remember<const N: usize>(bucket: &[AtomicU64; N], evicted: Cell<'_, N>, now: u64) {
    let bucket = Cell {
        words: bucket,
        ..evicted
    };
    bucket.raise_to(evicted.words, now);
}
