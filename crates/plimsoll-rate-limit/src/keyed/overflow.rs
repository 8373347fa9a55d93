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

#[cfg(all(test, not(loom)))]
mod tests {
    use plimsoll_core::policy::Live;

    use super::*;
    use crate::{terms::LiveQuota, word::Word};

    /// Nanoseconds per token.
    const T: u64 = 100;

    /// Calls `look` with two buckets of ten tokens from which these numbers were taken.
    fn with_taken(taken: [u64; 2], look: impl FnOnce(Overflow<'_, 1>)) {
        let quotas: [LiveQuota; 1] = [Live::new([T, 10 * T, 0, 0])];
        let tag = AtomicU64::new(0);
        let words = taken.map(|tokens| [AtomicU64::new(Word::new(0, tokens * T).0)]);
        look(Overflow([0, 1].map(|which| Cell {
            quotas: &quotas,
            tag: &tag,
            words: &words[which],
        })));
    }

    #[test]
    fn a_request_takes_from_the_bucket_from_which_more_was_taken() {
        with_taken([3, 5], |buckets| assert_eq!(buckets.in_order(0).0, 1));
        with_taken([5, 3], |buckets| assert_eq!(buckets.in_order(0).0, 0));
        with_taken([4, 4], |buckets| assert_eq!(buckets.in_order(0).0, 0));
    }

    #[test]
    fn a_bucket_is_checked_without_a_change() {
        with_taken([10, 9], |Overflow([empty, last])| {
            let wait = empty.check(0, 1).expect_err("ten were taken").wait;
            assert_eq!(wait, Some(T));
            assert!(last.check(0, 1).is_ok() && last.check(0, 1).is_ok());
            assert!(last.check(0, 2).is_err());
        });
    }
}
