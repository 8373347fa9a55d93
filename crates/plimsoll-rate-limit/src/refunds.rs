//! A log of refunded tokens, because tokens taken after them have moved up.
//!
//! # Why it is kept
//!
//! A token occupies a stretch of the bucket's schedule, from `tat - span` to `tat`. Refunded after
//! a wait, it is worth the part of that stretch after `now`; the part before `now` has been
//! refilled. A refund moves all tokens taken after the refunded one up by its worth, and no token
//! taken before it.
//!
//! So the worth of a token depends on *which* other tokens were refunded while it was held. Without
//! this log, each of a hundred waiters would pay for the wait of all the others.
//!
//! # Bounds
//!
//! The log is short and may lose its oldest entries. A lost entry counts as moved in full, so a
//! token is never worth too much. Only revocations and refunds use it, behind a short lock; taking
//! a token never reads it.

use std::{collections::VecDeque, sync::PoisonError};

use crate::{
    sync::{Mutex, MutexGuard},
    token::Token,
};

/// Parts of one token: the unit in which the log counts. A thousand roundings stay below 1/10,000
/// of a token, and 2^40 tokens fit 64 bits.
/// `the_order_in_which_waiters_are_revoked_makes_no_difference` fails when it is too coarse.
pub(crate) const PARTS: u64 = 1 << 24;
/// Entries of one log. Up to this many waiters may be revoked in any order before the oldest
/// entries are merged. 32 KiB with one quota, allocated as needed.
/// `a_thousand_waiters_are_revoked_in_any_order` fails when it is too short.
const MAX_ENTRIES: usize = 1024;

/// The log.
#[derive(Debug)]
pub(crate) struct Refunds<const N: usize>(Mutex<VecDeque<Refund<N>>>);

/// One refund, with the refunded token.
#[derive(Debug, Clone, Copy)]
struct Refund<const N: usize> {
    /// The owner of the cell.
    owner: u64,
    /// The token; of merged entries the earliest one.
    token: Token<N>,
    /// The cell's count of refunded tokens after this refund.
    after: u32,
    cost: u32,
    /// How far tokens taken later moved up, for each quota, in [`PARTS`] of a token.
    parts: [u64; N],
}

/// The log as one cell uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger<'a, const N: usize> {
    pub(crate) refunds: &'a Refunds<N>,
    /// The owner of the cell.
    pub(crate) owner: u64,
    /// Whether tokens are taken from leases.
    pub(crate) leased: bool,
}

/// The log, locked.
pub(crate) struct Recent<'a, const N: usize> {
    log: MutexGuard<'a, VecDeque<Refund<N>>>,
    owner: u64,
    leased: bool,
}

impl<const N: usize> Refunds<N> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<'a, const N: usize> Ledger<'a, N> {
    pub(crate) fn lock(self) -> Recent<'a, N> {
        let Self {
            refunds: Refunds(log),
            owner,
            leased,
        } = self;
        Recent {
            // Nothing panics under this lock; a poisoned log is still consistent.
            log: log.lock().unwrap_or_else(PoisonError::into_inner),
            owner,
            leased,
        }
    }
}

impl<const N: usize> Recent<'_, N> {
    /// How far this token has moved up since it was taken, for each quota, in [`PARTS`] of a token.
    ///
    /// An upper bound when the log has lost entries. `refunded` is the cell's count of refunded
    /// tokens.
    pub(crate) fn moved(&self, token: &Token<N>, refunded: u32) -> [u64; N] {
        let since = token.refunded_since(refunded);
        let (mut known, mut moved) = (0, [0_u64; N]);
        for refund in self.log.iter().filter(|refund| refund.owner == self.owner) {
            let counted = token.refunded_since(refund.after);
            // From before the token was taken.
            if counted == 0 || counted > since {
                continue;
            }
            known += u64::from(refund.cost);
            if !refund.token.is_after(token, self.leased) {
                for (moved, parts) in moved.iter_mut().zip(refund.parts) {
                    *moved = moved.saturating_add(parts);
                }
            }
        }
        let unknown = u64::from(since).saturating_sub(known) * PARTS;
        moved.map(|moved: u64| moved.saturating_add(unknown))
    }

    pub(crate) fn push(&mut self, token: Token<N>, after: u32, parts: [u64; N]) {
        if self.log.len() >= MAX_ENTRIES {
            self.make_room();
        }
        self.log.push_back(Refund {
            owner: self.owner,
            token,
            after,
            cost: token.cost,
            parts,
        });
    }

    /// Merges the two oldest entries if they have the same owner, or drops the oldest one.
    fn make_room(&mut self) {
        let Some(oldest) = self.log.pop_front() else {
            return;
        };
        let next = self.log.front_mut();
        if let Some(next) = next.filter(|next| next.owner == oldest.owner) {
            if next.token.is_after(&oldest.token, self.leased) {
                next.token = oldest.token;
            }
            next.cost = next.cost.saturating_add(oldest.cost);
            for (parts, more) in next.parts.iter_mut().zip(oldest.parts) {
                *parts = parts.saturating_add(more);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A log that is filled by this many refunds of one token each.
    fn filled(refunds: &Refunds<1>, count: usize, owner: fn(usize) -> u64) {
        for n in 0..count {
            let ledger = Ledger {
                refunds,
                owner: owner(n),
                leased: false,
            };
            let token = Token {
                cost: 1,
                ..Token::nothing()
            };
            ledger.lock().push(token, n as u32, [PARTS]);
        }
    }

    fn costs(refunds: &Refunds<1>) -> Vec<u32> {
        let Refunds(log) = refunds;
        log.lock()
            .unwrap()
            .iter()
            .map(|refund| refund.cost)
            .collect()
    }

    #[test]
    fn the_oldest_entries_of_one_owner_are_merged() {
        let refunds = Refunds::new();
        filled(&refunds, MAX_ENTRIES + 5, |_| 7);
        let costs = costs(&refunds);
        assert_eq!((costs.len(), costs[0]), (MAX_ENTRIES, 6));
        assert_eq!(costs.iter().sum::<u32>() as usize, MAX_ENTRIES + 5);
    }

    #[test]
    fn the_oldest_entry_is_dropped_when_the_next_has_another_owner() {
        let refunds = Refunds::new();
        filled(&refunds, MAX_ENTRIES + 5, |n| n as u64 % 2);
        assert_eq!(costs(&refunds), [1; MAX_ENTRIES]);
    }

    #[test]
    fn refunds_that_the_log_has_lost_moved_a_token_by_as_much_as_possible() {
        let refunds = Refunds::<1>::new();
        let ledger = Ledger {
            refunds: &refunds,
            owner: 7,
            leased: false,
        };
        let token = Token::nothing();
        assert_eq!(ledger.lock().moved(&token, 3), [3 * PARTS]);
        assert!(!token.is_after(&token, false), "not after itself");
    }
}
