//! Fair shares of one limit between keys.

mod band;
mod figures;
mod handle;
mod level;
mod permit;
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

use plimsoll_core::{Criticality, InvalidKeyed, Keyed, Missing, Priority, Same};
use tokio::time::Instant;

use self::shared::Shared;
pub use self::{handle::FairShareHandle, permit::FairSharePermit};
use crate::{ConcurrencyLimitHandle, limit::stalls::Stalls};

/// Divides a [`ConcurrencyLimit`](crate::ConcurrencyLimit) fairly between keys (max-min fairness).
///
/// A key with little demand gets all it asks for, and the rest is shared equally by the keys that
/// want more: with 100 slots and demands of 10, 50 and 200, they get about 10, 44 and 44.
///
/// Made one [per key](Self::per_key), in front of the limit in the same gate. A key above its share
/// is rejected with [`Kind::OverQuota`](plimsoll_core::Kind::OverQuota).
///
/// # How it works
///
/// - While less than 0.9 of the limit is in flight, every request is admitted: idle shares are
///   lent.
/// - Above that, each key may have at most *level* requests inside (in flight or in the limit's
///   queue). The level is infinite until a key that has less than others finds the limit full. Then
///   it falls until keys with little demand find room, and 2% of the slots are kept free for them.
/// - The level is adjusted at most every 5 milliseconds, by Newton's method on the water-filling
///   sum, from the number of rejected keys. After 200 adjustments in which no key with less than
///   others found the limit full, the 2% are lent, too.
/// - Running calls are not cancelled: a key above the level keeps the calls it has.
/// - With more busy keys than slots the level is below 1, and keys take turns: a key has one
///   request inside, and pauses after it ended, the longer the lower the level (20 milliseconds at
///   0.5, 1 second at 0.02). About a 20th of the limit is unused then.
///
/// Give the limit a short [queue](crate::ConcurrencyLimit::queue). Keys with little demand that
/// arrive in bursts, or at a small limit, of which 2% is less than one slot, wait there for a
/// moment. Without a queue some of them find the limit full.
///
/// # Criticality
///
/// Shares are between requests of one criticality, as set with [`priorities`](Self::priorities); by
/// default all requests have the same. Each criticality has its own level, for the part of the
/// limit that more critical requests leave. Less critical requests do not count: the limit's queue
/// serves them later, if it has the same priorities. So no request is rejected on account of less
/// critical ones, not even of its own key. (Less critical requests that were admitted while less
/// than 0.9 of the limit was in flight do count until they end.)
///
/// Where the more critical requests alone want more than the limit, the less critical still get the
/// few percent of limit and queue that are kept free for keys with little demand.
///
/// # Cost
///
/// Below 0.9 of the limit three loads and an addition; above it a compare-and-swap, an addition to
/// a counter that all keys share, and a few loads. No lock and no allocation. The priority of every
/// request is read.
///
/// ```
/// use plimsoll_concurrency::{ConcurrencyLimit, FairShare};
/// use plimsoll_core::{ApiKey, GateLayer, Missing};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = ConcurrencyLimit::new(100)?;
/// let each = FairShare::new(limit.handle());
/// let handle = each.handle(); // of all keys
/// let fair = each.per_key(ApiKey::new(), Missing::Share, 10_000)?;
/// let layer = GateLayer::new((fair, limit));
/// assert_eq!(handle.level(), None);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[doc(alias("fair queueing", "noisy neighbour", "per client"))]
pub struct FairShare<R = Same> {
    own: [KeyCounts; Criticality::ALL.len()],
    /// The cell's place in the order of cells, as a fraction of 2^32, for rounding.
    offset: u32,
    shared: Arc<Shared>,
    priorities: Arc<R>,
}

/// The counts of a key within one criticality.
#[derive(Debug)]
struct KeyCounts {
    inside: AtomicU32,
    /// The interval in which this key was last rejected.
    rejected_in: AtomicU32,
    /// When the last request of the key ended, in the shared time; kept only while keys take turns.
    left: AtomicU64,
    stalls: Stalls,
}

impl KeyCounts {
    fn new() -> Self {
        Self {
            inside: AtomicU32::new(0),
            rejected_in: AtomicU32::new(0),
            left: AtomicU64::new(0),
            stalls: Stalls::new(),
        }
    }
}

impl FairShare {
    /// Shares the limit of this handle, which must follow in the same gate: `(keyed, limit)`.
    pub fn new(limit: ConcurrencyLimitHandle) -> Self {
        let same = Same(Priority::default());
        Self::of(Arc::new(Shared::new(limit)), Arc::new(same))
    }
}

impl<R> FairShare<R> {
    fn of(shared: Arc<Shared>, priorities: Arc<R>) -> Self {
        Self {
            own: Criticality::ALL.map(|_| KeyCounts::new()),
            offset: shared.next_offset(),
            shared,
            priorities,
        }
    }

    /// Sets how the criticality is read; shares are between requests of the same criticality.
    ///
    /// Set the same [priorities](crate::ConcurrencyLimit::priorities) on the limit.
    ///
    /// ```
    /// use plimsoll_concurrency::{ConcurrencyLimit, FairShare};
    /// use plimsoll_core::{ApiKey, ByExtension, GateLayer, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = ConcurrencyLimit::adaptive().priorities(ByExtension);
    /// let each = FairShare::new(limit.handle()).priorities(ByExtension);
    /// let fair = each.per_key(ApiKey::new(), Missing::Share, 10_000)?;
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

    /// Makes one share per key that `key` reads, for up to `capacity` keys at a time.
    ///
    /// `missing` decides about requests without a key. See [`Keyed`] for keys beyond the capacity.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed>
    where
        R: Send + Sync + 'static,
    {
        Keyed::new(key, missing, capacity, move || self.cell())
    }

    /// Returns the share of another key in the same limit.
    #[doc(hidden)]
    pub fn cell(&self) -> Self {
        Self::of(Arc::clone(&self.shared), Arc::clone(&self.priorities))
    }

    /// Returns the requests of this key that are in flight or in the limit's queue.
    pub fn in_flight(&self) -> usize {
        let inside = self.own.iter().map(|own| own.inside.load(Relaxed));
        inside.sum::<u32>() as usize
    }

    /// Returns a handle that reads the level and the rejections of all keys.
    pub fn handle(&self) -> FairShareHandle {
        FairShareHandle(Arc::clone(&self.shared))
    }

    fn own(&self, of: Criticality) -> &KeyCounts {
        &self.own[of as usize]
    }

    /// Admits a request while the limit is nearly full, if its key is below the level.
    ///
    /// It is also admitted if less critical requests take up enough of the limit.
    fn acquire_near_limit(&self, of: Criticality, now: Instant) -> bool {
        self.reclaim(of, now);
        let fill = self.shared.fill(of);
        let acquired = if 10 * u64::from(fill.inside) < 9 * u64::from(fill.limit) {
            self.own(of).inside.fetch_add(1, Acquire);
            true
        } else {
            self.acquire_below_level(of, now)
        };
        if acquired {
            self.shared.band(of).inside.fetch_add(1, Relaxed);
        }
        acquired
    }

    fn acquire_below_level(&self, of: Criticality, now: Instant) -> bool {
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
        if own.rejected_in.swap(interval, Relaxed) != interval {
            band.rejected(inside, inside > cap);
        }
        false
    }

    /// Counts a request out, unless its place was reclaimed. Returns whether it was the key's last
    /// of its criticality.
    fn release(&self, permit: &FairSharePermit) -> bool {
        let (own, band) = (self.own(permit.of), self.shared.band(permit.of));
        if permit.in_band && band.stalls.end(permit.band, || false) {
            band.inside.fetch_sub(1, Relaxed);
        }
        own.stalls.end(permit.own, || false) && own.inside.fetch_sub(1, AcqRel) == 1
    }

    /// Reclaims the places of responses that stayed unread for the limit's longest stall.
    ///
    /// It also reclaims the limit's slots: behind fair shares the limit may never be found full.
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
