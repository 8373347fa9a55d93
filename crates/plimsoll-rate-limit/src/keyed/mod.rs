//! `KeyedRateLimit`: the policy with one limit per key, in bounded memory.

mod eviction;
mod figures;
mod handle;
mod hashed;
mod limit_key;
#[cfg(all(test, loom))]
mod loom_tests;
mod overflow;
mod page;
mod set;
mod table;

use std::{convert::Infallible, fmt, sync::Arc};

use plimsoll_core::{
    Key, Missing, Outcome, Policy, Rejection,
    policy::{Announcement, Interests, Verdict},
};
use tokio::time::Instant;

use self::table::{Owner, Table};
pub use self::{handle::KeyedRateLimitHandle, limit_key::LimitKey};
use crate::{
    InvalidKeyedRateLimit, One, RequestCost,
    cell::Cell,
    settings::Settings,
    token::{Empty, Token},
};

/// A [`RateLimit`](crate::RateLimit) for each key, in memory that is bounded by construction.
///
/// # How keys are stored
///
/// In a table like a processor's set-associative cache. A key's hash selects two sets of four
/// cells, and the key is in one of these eight cells or has none. So a decision reads one cache
/// line for at least five of six keys and two for the others, for any number of keys.
///
/// A cell is 8 bytes of mark (39 bits of a hash with a random seed, so keys cannot be aimed at one
/// set) and 8 bytes per quota. The table has a third more cells than keys, so a key of any type
/// takes 23 bytes with one quota (46 with two, 47 with three, 70 with four). Memory is allocated in
/// pages of up to 64 KiB per quota as keys arrive. Among a million keys, the probability that two
/// share a cell is 1 in 50,000.
///
/// # When the table is full
///
/// * **Known keys.** The second request makes a key known. A known key keeps its cell while
///   anything that it took still counts, and for five minutes after that. So a flood of keys never
///   evicts a caller whose requests are less than five minutes apart.
/// * **New keys** take an empty cell, or one whose quota is full again: of another new key, or of a
///   known key without requests for five minutes. Such a cell equals an empty one, so no sweep is
///   needed.
/// * **In a flood** there may be no such cell. Then a new key takes over the cell from which
///   another new key has taken least, of its eight, *and inherits what was taken from it*. The set
///   and its neighbour record what the evicted key had taken, per quota. Every new key starts with
///   at least that taken until it would have been refilled.
/// * **When all eight cells are kept for known keys**, a new key takes from an overflow bucket of
///   two sets, which has the quota of one key.
///
/// So an eviction never gives a key a fresh quota, and new keys share the cost of a flood: together
/// they get the refill of the cells that known keys leave. The [handle](Self::handle) counts
/// evictions, inherited cells and requests in overflow buckets. `docs/rate-limiting.md` has
/// measurements.
///
/// # Cost
///
/// No lock for a known key. The first two requests of a key take one of up to 4,096 locks, selected
/// by its hash, while they read eight cells. So does every request of a key without a cell.
///
/// # Shared state, cloning, cancellation, rejections by other policies
///
/// As for [`RateLimit`](crate::RateLimit). Tokens of a key that was evicted meanwhile are not
/// refunded. A request that has found its key's cell while another key takes the cell over counts
/// against the other key.
#[doc(alias("per key", "per client", "per IP", "governor", "throttle"))]
pub struct KeyedRateLimit<K, const N: usize = 1, C = One> {
    key: K,
    cost: C,
    missing: Missing,
    table: Arc<Table<N>>,
    /// Whether a refund or a charge is set, so that the end of a request changes something.
    uses_outcome: bool,
}

/// The tokens that an admitted request took, and their key. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct KeyedRateLimitPermit<const N: usize = 1> {
    owner: Owner,
    token: Token<N>,
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
            uses_outcome: settings.uses_outcomes(),
            table: Arc::new(Table::new(settings, capacity)),
        })
    }

    /// Returns the handle that reads the counters and the state of keys, and changes the quotas.
    pub fn handle(&self) -> KeyedRateLimitHandle<N> {
        KeyedRateLimitHandle(Arc::clone(&self.table))
    }
}

impl<Req, K, const N: usize, C> Policy<Req> for KeyedRateLimit<K, N, C>
where
    K: Key<Req>,
    C: RequestCost<Req>,
{
    type Permit = KeyedRateLimitPermit<N>;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Infallible> {
        let now = self.table.settings.nanos(now);
        let hash = self.key.key(req).map(|key| self.table.hash(key));
        let cost = self.cost.cost(req);
        let (owner, cell) = match hash {
            Some(hash) => match self.table.find_known(hash) {
                Some(cell) => (Owner::Key(hash), cell),
                None => return self.verdict(self.table.take_unknown(hash, now, cost)),
            },
            None => match self.keyless(req) {
                Ok(Some(shared)) => (Owner::Keyless, shared),
                Ok(None) => {
                    return Verdict::Admit(KeyedRateLimitPermit {
                        owner: Owner::Uncounted,
                        token: Token::nothing(),
                    });
                }
                Err(rejection) => return Verdict::Reject(rejection),
            },
        };
        match cell.take(now, cost) {
            Ok(token) => Verdict::Admit(KeyedRateLimitPermit { owner, token }),
            Err(empty) => Verdict::Reject(self.table.settings.rejection(empty)),
        }
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        if !self.uses_outcome {
            return;
        }
        let settings = &self.table.settings;
        if let Some(back) = settings.refunded_of(&permit.token, outcome) {
            if let Some((cell, ledger)) = self.table.cell_of(permit.owner) {
                let now = settings.nanos(outcome.ended());
                cell.refund(back, (0, now), ledger);
            }
        }
        if let Some(due) = settings.due(outcome) {
            let now = settings.nanos(outcome.ended());
            match permit.owner {
                Owner::Key(hash) | Owner::Overflow(hash, _) => self.table.charge(hash, now, due),
                Owner::Keyless => self.table.keyless().charge(now, due),
                Owner::Uncounted => {}
            }
        }
    }

    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        if let Some((cell, ledger)) = self.table.cell_of(permit.owner) {
            let nanos = |instant| self.table.settings.nanos(instant);
            let held = (nanos(admitted), nanos(now));
            cell.refund(permit.token, held, ledger);
        }
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(self.table.settings.announces())
    }

    #[inline]
    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        if !matches!(permit.owner, Owner::Uncounted) {
            self.table.settings.announce(&permit.token, admitted, out);
        }
    }
}

impl<K, const N: usize, C> KeyedRateLimit<K, N, C> {
    /// The verdict on a request of a key that was not known.
    #[cold]
    fn verdict(
        &self,
        taken: Result<(Owner, Token<N>), Empty>,
    ) -> Verdict<KeyedRateLimitPermit<N>, Infallible> {
        match taken {
            Ok((owner, token)) => Verdict::Admit(KeyedRateLimitPermit { owner, token }),
            Err(empty) => Verdict::Reject(self.table.settings.rejection(empty)),
        }
    }

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
            Missing::Reject(kind) => Err(Rejection::new("missing-key", kind)),
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
