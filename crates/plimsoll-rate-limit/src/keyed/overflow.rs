//! What was taken by keys without a cell.

use crate::{
    cell::Cell,
    sync::AtomicU64,
    token::{Empty, Token},
};

/// The two overflow buckets of a key, one per place. All keys with that place share the bucket.
///
/// At least as much has been taken from one of the two as by the key itself: its last cell was in
/// one of the two places, and a request without a cell takes from the bucket from which more was
/// taken. So both buckets must have the tokens for a request.
///
/// Only used under the key's lock, so that the requests of a key are serialised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overflow<'a, const N: usize>(pub(super) [Cell<'a, N>; 2]);

impl<'a, const N: usize> Overflow<'a, N> {
    /// Takes from a cell until at least as much has been taken as from both buckets.
    pub(super) fn raise(self, cell: Cell<'_, N>, now: u64) {
        for bucket in self.0 {
            cell.raise_to(bucket.words, now);
        }
    }

    /// Takes for a key without a cell. Also returns the index of the bucket.
    pub(super) fn take(self, now: u64, cost: u32) -> Result<(u8, Token<N>), Empty> {
        let (which, more, less) = self.in_order(now);
        more.check(now, cost)?;
        less.check(now, cost)?;
        more.raise_to(less.words, now);
        Ok((which, more.take(now, cost)?))
    }

    /// Takes an unconditional cost, even if that leaves a debt.
    pub(super) fn charge(self, now: u64, cost: u32) {
        let (_, more, less) = self.in_order(now);
        more.raise_to(less.words, now);
        more.charge(now, cost);
    }

    /// The bucket from which more was taken, with its index, and the other one.
    ///
    /// With several quotas, more may have been taken from the other one for one of the quotas.
    fn in_order(self, now: u64) -> (u8, Cell<'a, N>, Cell<'a, N>) {
        let [first, second] = self.0;
        if second.rank(now) > first.rank(now) {
            (1, second, first)
        } else {
            (0, first, second)
        }
    }
}

/// Records what was taken from a cell that is given to another key.
pub(super) fn record<const N: usize>(bucket: &[AtomicU64; N], evicted: Cell<'_, N>, now: u64) {
    let bucket = Cell {
        words: bucket,
        ..evicted
    };
    bucket.raise_to(evicted.words, now);
}
