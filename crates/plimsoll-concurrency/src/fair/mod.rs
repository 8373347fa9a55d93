//! Fair shares of one limit between keys.

mod handle;
mod level;
mod shared;

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use plimsoll_core::{Cell, Kind, Outcome, Policy, Rejection, Verdict};
use tokio::time::Instant;

pub use self::handle::FairShareHandle;
use self::shared::Shared;
use crate::ConcurrencyHandle;

/// The policy's name in rejections.
const NAME: &str = "fair-share";

/// Fair shares of a [`Concurrency`](crate::Concurrency) limit between keys: who asks for little gets it, and what remains is
/// shared equally by those who ask for more (max-min fairness: with 100 slots and demands of 10, 50 and 200, about 10, 44 and 44).
///
/// One value is the [cell](Self::cell) of one key in a [`Keyed`](plimsoll_core::Keyed), in front of the limit in the same gate. A key
/// over its share is refused with [`Kind::OverQuota`].
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
/// Give the limit a short [queue](crate::Concurrency::queue): mice that come in a swarm, or to few slots, of which 2 in 100 are less than
/// one, wait there for a moment. Without one some of them find the limit full.
///
/// # Cost
///
/// Three loads and an addition to get in below 0.9 of the limit, a compare-and-swap and a few loads above. No lock, no allocation.
///
/// ```
/// use plimsoll_concurrency::{Concurrency, FairShare};
/// use plimsoll_core::{ApiKey, GateLayer, Keyed, Missing};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = Concurrency::new(100)?;
/// let each = FairShare::new(limit.handle());
/// let handle = each.handle(); // of all keys
/// let fair = Keyed::new(ApiKey::new(), Missing::Share, 10_000, move || each.cell())?;
/// let layer = GateLayer::new((fair, limit));
/// assert_eq!(handle.level(), None);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
pub struct FairShare {
    inside: AtomicU32,
    /// The interval in which this key was last refused.
    refused_in: AtomicU32,
    /// When the last request of the key had left, in the shared time; only kept while keys take turns.
    left: AtomicU64,
    /// Its place in the order of cells, as a fraction of 2^32, for rounding.
    offset: u32,
    shared: Arc<Shared>,
}

/// A request of a key, counted. Plain data: the gate sees to it that it is given back.
#[derive(Debug)]
pub struct FairSharePermit(());

impl FairShare {
    /// Shares the limit of this handle, which has to be behind the shares in the same gate (`(keyed, limit)`).
    pub fn new(limit: ConcurrencyHandle) -> Self {
        Self::of(Arc::new(Shared::new(limit)))
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self {
            inside: AtomicU32::new(0),
            refused_in: AtomicU32::new(0),
            left: AtomicU64::new(0),
            offset: shared.next_offset(),
            shared,
        }
    }

    /// Another key's share of the same limit.
    pub fn cell(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    /// Requests of this key that are inside: in flight, or in the limit's queue.
    pub fn in_flight(&self) -> usize {
        self.inside.load(Relaxed) as usize
    }

    /// Reads the level and the count of refusals, of all keys.
    pub fn handle(&self) -> FairShareHandle {
        FairShareHandle(Arc::clone(&self.shared))
    }

    /// The limit is nearly full: a place, if this key has fewer than the level.
    fn enter_below_level(&self, now: Instant) -> bool {
        let now = self.shared.adjust(now);
        let mut inside = self.inside.load(Relaxed);
        let cap = if inside == 0 && self.shared.pause(self.left.load(Relaxed), now) > 0 {
            0
        } else {
            self.shared.asked(inside);
            self.shared.cap(self.offset)
        };
        while inside < cap {
            match self
                .inside
                .compare_exchange_weak(inside, inside + 1, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => inside = now,
            }
        }
        let interval = self.shared.interval();
        if self.refused_in.swap(interval, Relaxed) != interval {
            self.shared.refused(inside, inside > cap);
        }
        false
    }

    #[cold]
    fn refuse(&self) -> Rejection {
        self.shared.refusals.add();
        Rejection::new(NAME, Kind::OverQuota).retry_after(self.shared.limit.retry_after())
    }
}

impl<Req> Policy<Req> for FairShare {
    type Permit = FairSharePermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, _: &mut Req, now: Instant) -> Verdict<FairSharePermit, Infallible> {
        if !self.shared.nearly_full() {
            self.inside.fetch_add(1, Acquire);
        } else if !self.enter_below_level(now) {
            return Verdict::Reject(self.refuse());
        }
        Verdict::Admit(FairSharePermit(()))
    }

    #[inline]
    fn finish(&self, _: FairSharePermit, _: &Outcome) {
        if self.inside.fetch_sub(1, AcqRel) == 1 && self.shared.height() < 1.0 {
            self.left.store(self.shared.time(), Relaxed);
        }
    }

    #[inline]
    fn revoke(&self, _: FairSharePermit, _: Instant, _: Instant) {
        self.inside.fetch_sub(1, AcqRel);
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }
}

impl Cell for FairShare {
    fn reset(&self) {
        self.refused_in.store(0, Relaxed);
        self.left.store(0, Relaxed);
    }

    fn settles_in(&self, now: Instant) -> Duration {
        if self.inside.load(Acquire) == 0 {
            let now = self.shared.nanos(now);
            return Duration::from_nanos(self.shared.pause(self.left.load(Relaxed), now));
        }
        // A guess, and never zero while anybody is in.
        Duration::from_millis(1)
    }
}

impl fmt::Debug for FairShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairShare")
            .field("in_flight", &self.in_flight())
            .field("level", &self.handle().level())
            .finish_non_exhaustive()
    }
}
