//! Fair shares of one limit between keys.

mod band;
mod handle;
mod level;
mod policy;
mod shared;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

use plimsoll_core::{Criticality, Priority, Same};
use tokio::time::Instant;

use self::shared::Shared;
pub use self::{handle::FairShareHandle, policy::FairSharePermit};
use crate::{ConcurrencyLimitHandle, limit::stalls::Stalls};

/// Fair shares of a [`ConcurrencyLimit`](crate::ConcurrencyLimit) limit between keys: who asks for little gets it, and what remains is
/// shared equally by those who ask for more (max-min fairness: with 100 slots and demands of 10, 50 and 200, about 10, 44 and 44).
///
/// One value is the [cell](Self::cell) of one key in a [`Keyed`](plimsoll_core::Keyed), in front of the limit in the same gate. A key
/// over its share is refused with [`Kind::OverQuota`](plimsoll_core::Kind::OverQuota).
///
/// # How it works
///
/// While less than 0.9 of the limit is in flight, everybody gets in: idle shares are lent entirely. Above, a key may have so many
/// requests inside (in flight or in the limit's queue) as the *level*. The level is infinite until a key with less than others finds the
/// limit full; then it comes down to where those who want little find room, with 2 in 100 slots left free for them. It is adjusted at most
/// every 5 milliseconds by Newton's method on the water-filling sum, from the number of keys refused. Once nobody was squeezed out for
/// 200 adjustments the 2 in 100 are lent, too.
///
/// What is lent is not taken back by force: a key above the level keeps the calls it has.
///
/// With more busy keys than slots the level is below 1, and they take turns: a key has one request inside, and when that was
/// answered it pauses, the longer the lower the level (20 milliseconds at 0.5, a second at 0.02). About a 20th of the limit stays unused
/// then.
///
/// Give the limit a short [queue](crate::ConcurrencyLimit::queue): mice that come in a swarm, or to few slots, of which 2 in 100 are less than
/// one, wait there for a moment. Without one some of them find the limit full.
///
/// # Criticality
///
/// Shares are between requests of one criticality, as [`priorities`](Self::priorities) tells it; unless they are set all are
/// the same. Each criticality has a level of its own, for what the more critical leave of the limit. The less critical do
/// not count: the limit's queue puts these requests before them, if it is told the same priorities. So nobody is held
/// back on account of less critical requests, not even of its own key. Those that came in while less than 0.9 of the limit
/// was in flight are not told apart until they end.
///
/// Where the more critical alone want more than there is, the less critical still get what is kept free of the limit and the
/// queue for those with little: a few in a hundred.
///
/// # Cost
///
/// Three loads and an addition to get in below 0.9 of the limit; above, a compare-and-swap, an addition that all keys share,
/// and a few loads. No lock, no allocation. The priority of each request is asked for.
///
/// ```
/// use plimsoll_concurrency::{ConcurrencyLimit, FairShare};
/// use plimsoll_core::{ApiKey, GateLayer, Keyed, Missing};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = ConcurrencyLimit::new(100)?;
/// let each = FairShare::new(limit.handle());
/// let handle = each.handle(); // of all keys
/// let fair = Keyed::new(ApiKey::new(), Missing::Share, 10_000, move || each.cell())?;
/// let layer = GateLayer::new((fair, limit));
/// assert_eq!(handle.level(), None);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
pub struct FairShare<R = Same> {
    own: [Own; Criticality::ALL.len()],
    /// Its place in the order of cells, as a fraction of 2^32, for rounding.
    offset: u32,
    shared: Arc<Shared>,
    priorities: Arc<R>,
}

/// What a key has of one criticality.
#[derive(Debug)]
struct Own {
    inside: AtomicU32,
    /// The interval in which this key was last refused.
    refused_in: AtomicU32,
    /// When the last request of the key had left, in the shared time; only kept while keys take turns.
    left: AtomicU64,
    stalls: Stalls,
}

impl Own {
    fn new() -> Self {
        Self {
            inside: AtomicU32::new(0),
            refused_in: AtomicU32::new(0),
            left: AtomicU64::new(0),
            stalls: Stalls::new(),
        }
    }
}

impl FairShare {
    /// Shares the limit of this handle, which has to be behind the shares in the same gate (`(keyed, limit)`).
    pub fn new(limit: ConcurrencyLimitHandle) -> Self {
        let same = Same(Priority::default());
        Self::of(Arc::new(Shared::new(limit)), Arc::new(same))
    }
}

impl<R> FairShare<R> {
    fn of(shared: Arc<Shared>, priorities: Arc<R>) -> Self {
        Self {
            own: Criticality::ALL.map(|_| Own::new()),
            offset: shared.next_offset(),
            shared,
            priorities,
        }
    }

    /// Shares between requests of the same criticality only. Tell the [limit](crate::ConcurrencyLimit::priorities) the same.
    ///
    /// ```
    /// use plimsoll_concurrency::{ConcurrencyLimit, FairShare};
    /// use plimsoll_core::{ApiKey, ByExtension, GateLayer, Keyed, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = ConcurrencyLimit::adaptive().priorities(ByExtension);
    /// let each = FairShare::new(limit.handle()).priorities(ByExtension);
    /// let fair = Keyed::new(ApiKey::new(), Missing::Share, 10_000, move || each.cell())?;
    /// let layer = GateLayer::new((fair, limit));
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn priorities<Q>(self, priorities: Q) -> FairShare<Q> {
        FairShare {
            own: self.own,
            offset: self.offset,
            shared: self.shared,
            priorities: Arc::new(priorities),
        }
    }

    /// Another key's share of the same limit.
    pub fn cell(&self) -> Self {
        Self::of(Arc::clone(&self.shared), Arc::clone(&self.priorities))
    }

    /// Requests of this key that are inside: in flight, or in the limit's queue.
    pub fn in_flight(&self) -> usize {
        let inside = self.own.iter().map(|own| own.inside.load(Relaxed));
        inside.sum::<u32>() as usize
    }

    /// Reads the level and the count of refusals, of all keys.
    pub fn handle(&self) -> FairShareHandle {
        FairShareHandle(Arc::clone(&self.shared))
    }

    fn own(&self, of: Criticality) -> &Own {
        &self.own[of as usize]
    }

    /// The limit is nearly full: a place, if the less critical take up enough of it, or this key has fewer than the level.
    fn enter_tight(&self, of: Criticality, now: Instant) -> bool {
        self.reclaim(of, now);
        let fill = self.shared.fill(of);
        let entered = if 10 * u64::from(fill.inside) < 9 * u64::from(fill.limit) {
            self.own(of).inside.fetch_add(1, Acquire);
            true
        } else {
            self.enter_below_level(of, now)
        };
        if entered {
            self.shared.band(of).inside.fetch_add(1, Relaxed);
        }
        entered
    }

    fn enter_below_level(&self, of: Criticality, now: Instant) -> bool {
        let (own, band) = (self.own(of), self.shared.band(of));
        let now = self.shared.nanos(now);
        let fill = || self.shared.fill(of);
        band.adjust(now, fill);
        let mut inside = own.inside.load(Relaxed);
        let cap = if inside == 0 && band.pause(own.left.load(Relaxed), now) > 0 {
            0
        } else {
            band.asked(inside, self.offset, fill);
            band.cap(self.offset)
        };
        while inside < cap {
            match own
                .inside
                .compare_exchange_weak(inside, inside + 1, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => inside = now,
            }
        }
        let interval = band.interval();
        if own.refused_in.swap(interval, Relaxed) != interval {
            band.rejected(inside, inside > cap);
        }
        false
    }

    /// One less, unless its place was reclaimed. Returns whether it was the last of its
    /// criticality.
    fn leave(&self, permit: &FairSharePermit) -> bool {
        let (own, band) = (self.own(permit.of), self.shared.band(permit.of));
        if permit.in_band && band.stalls.end(permit.band, || false) {
            band.inside.fetch_sub(1, Relaxed);
        }
        own.stalls.end(permit.own, || false) && own.inside.fetch_sub(1, AcqRel) == 1
    }

    /// Reclaims what responses hold that were not read for the limit's longest stall. The limit
    /// does the same, since behind fair shares it may never be found full.
    fn reclaim(&self, of: Criticality, now: Instant) {
        self.shared.limit.reclaim(now);
        if let Some(longest) = self.shared.limit.max_stall_nanos() {
            let (own, band) = (self.own(of), self.shared.band(of));
            let now = self.shared.nanos(now);
            band.inside
                .fetch_sub(band.stalls.reclaim(now, longest), Relaxed);
            own.inside
                .fetch_sub(own.stalls.reclaim(now, longest), AcqRel);
        }
    }
}

impl<R> fmt::Debug for FairShare<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairShare")
            .field("in_flight", &self.in_flight())
            .field("level", &self.handle().level())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
