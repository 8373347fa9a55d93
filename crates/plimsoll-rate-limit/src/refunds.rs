//! Which tokens were given back of late: what was taken after them has moved up since.
//!
//! # Why it is kept
//!
//! A token takes a stretch of the bucket's schedule, from `tat - span` to `tat`. Given back after a wait, it is worth what
//! lies ahead of `now`: the rest of it the clock has refilled. Every token given back moves those that were
//! taken after it up by what it was worth, and leaves those before it where they are. So the worth of a token depends on
//! *which* others were given back meanwhile. This module answers that; without it each of a hundred waiters
//! would pay for the wait of all the others.
//!
//! # Bounds
//!
//! The log is short and may lose its oldest entries. What it has lost counts as moved in full, so that a token is never
//! worth too much. It is used by revocations only, behind a short lock; taking a token never reads it.

use std::{collections::VecDeque, sync::PoisonError};

use crate::{
    cell::Token,
    sync::{Mutex, MutexGuard},
};

/// Parts of a token, which the clock refills one by one. So fine that a thousand roundings are less than one part in
/// ten thousand of a token, and so coarse that 2^40 tokens fit 64 bits.
/// `the_order_in_which_waiters_are_revoked_makes_no_difference` fails when it is too coarse.
pub(crate) const PARTS: u64 = 1 << 24;
/// Entries of one log: as many waiters may be revoked in any order before the oldest are merged. 32 KiB with
/// one quota, allocated as needed. `a_thousand_waiters_are_revoked_in_any_order` fails when it is too short.
const MAX_ENTRIES: usize = 1024;

/// The log.
#[derive(Debug)]
pub(crate) struct Refunds<const N: usize>(Mutex<VecDeque<Refund<N>>>);

/// What was given back under one lock, and the order in which its token was taken.
#[derive(Debug, Clone, Copy)]
struct Refund<const N: usize> {
    /// Whose cell it was.
    owner: u64,
    /// The token: the earliest one, where entries were merged.
    token: Token<N>,
    /// The cell's count of tokens given back, after this.
    after: u32,
    cost: u32,
    /// What moved up those that were taken later, of each quota, in [`PARTS`] of a token.
    parts: [u64; N],
}

/// The log, as one cell uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger<'a, const N: usize> {
    pub(crate) refunds: &'a Refunds<N>,
    /// Whose the cell is.
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
            // Nothing panics while it is held; a poisoned one would be as good.
            log: log.lock().unwrap_or_else(PoisonError::into_inner),
            owner,
            leased,
        }
    }
}

impl<const N: usize> Recent<'_, N> {
    /// How far this token has moved up since it was taken, in each quota, in [`PARTS`] of a token: at most, where
    /// the log does not know. `returned` is the cell's count of tokens given back.
    pub(crate) fn moved(&self, token: &Token<N>, returned: u32) -> [u64; N] {
        let since = token.returned_since(returned);
        let (mut known, mut moved) = (0, [0_u64; N]);
        for refund in self.log.iter().filter(|refund| refund.owner == self.owner) {
            let counted = token.returned_since(refund.after);
            // Of before it was taken.
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

    /// Merges the two oldest, if they are of one owner; else the oldest goes.
    fn make_room(&mut self) {
        let Some(oldest) = self.log.pop_front() else {
            return;
        };
        if let Some(next) = self.log.front_mut()
            && next.owner == oldest.owner
        {
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
