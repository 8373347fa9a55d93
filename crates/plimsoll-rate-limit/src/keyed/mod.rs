//! `KeyedRateLimit`: the policy, one limit per key in bounded memory.

mod handle;
mod limit_key;
#[cfg(all(test, loom))]
mod loom_tests;
mod set;
mod table;

use std::{convert::Infallible, fmt, sync::Arc};

use plimsoll_core::{Announcement, Key, Missing, Outcome, Policy, Rejection, Verdict};
use tokio::time::Instant;

use self::table::{Hashed, Table};
pub use self::{handle::KeyedRateLimitHandle, limit_key::LimitKey};
use crate::{
    InvalidKeyedRateLimit, One, Weigh,
    cell::{Cell, Token},
    refunds::Ledger,
    settings::Settings,
};

/// A [`RateLimit`](crate::RateLimit) for each key, in memory that is bounded by construction.
///
/// # How keys are kept
///
/// In a table like a processor's cache. A key's hash names two sets of four cells, and the key lives in one of those eight
/// or nowhere: a decision reads one cache line for five keys of six or more, and two for the others, however many keys there are. A cell
/// is 8 bytes of mark (40 bits of a hash with a random seed, so keys cannot be aimed at one set) and 8 for each quota. There is a
/// third more room than keys, so a key takes 22.3 bytes with one quota (44.6 with two, 45.2 with three, 67.5 with four), whatever
/// its type; memory is taken in pages of up to 64 KiB per quota as keys arrive. Two of a million keys share a cell with a
/// probability of one in a hundred thousand.
///
/// # When it is full
///
/// A key for which there is no room takes over the cell of its eight from which least has been taken, *and what has been taken from
/// it*. Mostly that is nothing: a cell whose quota is whole again, which is as good as an empty one, so nothing ever needs to be
/// swept. Under a flood of keys it may be a cell in use. Then the set (with three neighbours) remembers what its owner had taken,
/// quota by quota, and every newcomer begins with at least that, until it would have been refilled. So being pushed out never gets
/// anybody a fresh quota, whichever cell it finds when it comes back; and those who pay for a flood are new keys, not those
/// that have a cell. Both are counted in the [handle](Self::handle).
///
/// # Cost
///
/// No lock for a key that has a cell. One that has none takes one of up to 4,096 locks, picked by its hash, for as long as
/// it takes to look at eight cells.
///
/// # Shared state and cloning, cancellation, refusals elsewhere
///
/// As for [`RateLimit`](crate::RateLimit). What a key took and gives back after it was pushed out is forfeit. A request that
/// has found its key's cell in the moment in which another key takes it over counts against that one.
pub struct KeyedRateLimit<K, const N: usize = 1, C = One> {
    key: K,
    cost: C,
    missing: Missing,
    table: Arc<Table<N>>,
    /// Whether a refund or a charge is set, so that the end of a request changes something.
    settles: bool,
}

/// What an admitted request took, and of which key. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct KeyedRateLimitPermit<const N: usize = 1> {
    owner: Owner,
    token: Token<N>,
}

/// Whose a token is.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Key(Hashed),
    /// All requests without a key share one cell.
    Keyless,
    /// It was let in without being counted.
    Nobody,
}

impl<K, const N: usize, C> KeyedRateLimit<K, N, C> {
    pub(crate) fn new(
        settings: Arc<Settings<N>>,
        cost: C,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Self, InvalidKeyedRateLimit> {
        if capacity == 0 || capacity > 1 << 28 {
            return Err(InvalidKeyedRateLimit::Capacity(capacity));
        }
        Ok(Self {
            key,
            cost,
            missing,
            settles: settings.asks_for_outcomes(),
            table: Arc::new(Table::new(settings, capacity)),
        })
    }

    /// The counters, what keys have left, and the quotas, at any time.
    pub fn handle(&self) -> KeyedRateLimitHandle<N> {
        KeyedRateLimitHandle(Arc::clone(&self.table))
    }

    /// The cell of a token's owner, if it still has one, and the log of its refunds.
    fn cell_of(&self, owner: Owner) -> Option<(Cell<'_, N>, Ledger<'_, N>)> {
        match owner {
            Owner::Key(hash) => Some((self.table.find(hash)?, self.table.ledger(hash))),
            Owner::Keyless => Some((self.table.keyless(), self.table.keyless_ledger())),
            Owner::Nobody => None,
        }
    }
}

impl<Req, K, const N: usize, C> Policy<Req> for KeyedRateLimit<K, N, C>
where
    K: Key<Req>,
    C: Weigh<Req>,
{
    type Permit = KeyedRateLimitPermit<N>;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Infallible> {
        let now = self.table.settings.nanos(now);
        let hash = self.key.key(req).map(|key| self.table.hash(key));
        let cost = self.cost.weigh(req);
        let (owner, cell) = match hash {
            Some(hash) => (Owner::Key(hash), self.table.find_or_make(hash, now)),
            None => match self.keyless(req) {
                Ok(Some(shared)) => (Owner::Keyless, shared),
                Ok(None) => {
                    return Verdict::Admit(KeyedRateLimitPermit {
                        owner: Owner::Nobody,
                        token: Token::nothing(),
                    });
                }
                Err(rejection) => return Verdict::Reject(rejection),
            },
        };
        match cell.take(now, cost) {
            Ok(token) => Verdict::Admit(KeyedRateLimitPermit { owner, token }),
            Err(empty) => Verdict::Reject(self.table.settings.refusal(empty)),
        }
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        if !self.settles {
            return;
        }
        let settings = &self.table.settings;
        if let Some(back) = settings.given_back(&permit.token, outcome)
            && let Some((cell, ledger)) = self.cell_of(permit.owner)
        {
            let now = settings.nanos(outcome.ended());
            cell.give_back(back, (0, now), ledger);
        }
        if let Some(due) = settings.due(outcome) {
            let now = settings.nanos(outcome.ended());
            match permit.owner {
                // It may have been pushed out; its debt comes with it.
                Owner::Key(hash) => self.table.find_or_make(hash, now).charge(now, due),
                Owner::Keyless => self.table.keyless().charge(now, due),
                Owner::Nobody => {}
            }
        }
    }

    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        if let Some((cell, ledger)) = self.cell_of(permit.owner) {
            let nanos = |instant| self.table.settings.nanos(instant);
            let held = (nanos(admitted), nanos(now));
            cell.give_back(permit.token, held, ledger);
        }
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        self.table.settings.announces()
    }

    #[inline]
    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        if !matches!(permit.owner, Owner::Nobody) {
            self.table.settings.announce(&permit.token, admitted, out);
        }
    }
}

impl<K, const N: usize, C> KeyedRateLimit<K, N, C> {
    /// The cell for a request without a key, if it is counted.
    #[cold]
    fn keyless<Req>(&self, req: &Req) -> Result<Option<Cell<'_, N>>, Rejection>
    where
        K: Key<Req>,
    {
        self.table.missing.note(&self.key, req, self.missing);
        match self.missing {
            Missing::Admit => Ok(None),
            Missing::Share => Ok(Some(self.table.keyless())),
            Missing::Refuse(kind) => Err(Rejection::new("missing-key", kind)),
        }
    }
}

impl<K: fmt::Debug, const N: usize, C> fmt::Debug for KeyedRateLimit<K, N, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimit")
            .field("key", &self.key)
            .field("missing", &self.missing)
            .field("settings", &self.table.settings)
            .finish_non_exhaustive()
    }
}
