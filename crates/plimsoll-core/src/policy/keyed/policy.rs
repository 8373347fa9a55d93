//! The policy that has a cell of another policy for each key.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{
    super::forward::forward_permit,
    evictable::{Evictable, InvalidKeyed},
    handle::KeyedHandle,
    table::{InUse, Place, Table},
};
use crate::{Interests, Key, Missing, Outcome, Policy, Rejection, Verdict, key::label_of};

/// One policy per key, all with the same settings, in bounded memory.
///
/// # Bounds
///
/// At most `capacity` keys (rounded up to a power of two, at least 512) have a cell of their own.
/// Memory for cells is allocated in pages of 512 as keys arrive. A new key takes over only a slot
/// without permits whose cell [settles in](Evictable::settles_in) zero, so an eviction never grants a
/// fresh allowance.
///
/// # A flood of keys
///
/// * **Known keys.** The second request makes a key known. After another key has needed its slot,
///   the slot is kept for five more minutes. So any number of keys with one request each cannot
///   evict a caller with a request per minute. Up to `capacity` known keys are served as if there
///   were no flood.
/// * **New keys** take empty slots, slots of other new keys, and slots of known keys that stay
///   away. A new key that finds none among its eight slots shares an overflow cell with other such
///   keys of its page, until a slot is free. Every request with a key is counted in some
///   cell. (What a key took from an overflow cell is not taken from its own cell later.)
/// * **Policies other than rate limits** lose nothing by an eviction: an idle concurrency limit, or
///   a closed circuit breaker that has counted nothing, equals a new one. A flood fills slots only
///   with running requests, or with breakers that have seen failures. Then new keys share a limit
///   or a breaker, and known keys keep their own.
///
/// The [`KeyedHandle`] counts evictions and requests in overflow cells.
///
/// Keys are stored as 64-bit hashes with a random seed. With a million keys, the probability that
/// any two share a cell is about 3 in 100 million.
///
/// # Cost
///
/// A known key is found without a lock. Other keys lock their set while its eight slots are
/// examined; so does the first request of a known key after another key has needed its slot.
#[doc(alias("per key", "per client", "per tenant"))]
pub struct Keyed<K, P> {
    key: K,
    missing: Missing,
    table: Arc<Table<P>>,
}

/// The permit of a [`Keyed`] policy.
#[derive(Debug)]
pub struct KeyedPermit<P> {
    place: Place,
    permit: Option<P>,
}

pin_project! {
    /// The wait of a [`Keyed`] policy.
    #[derive(Debug)]
    pub struct KeyedWait<W> {
        place: Place,
        #[pin]
        wait: W,
    }
}

impl<K, P: Evictable> Keyed<K, P> {
    /// A cell from `make` for each key that `key` reads, for up to `capacity` keys at a time. All
    /// cells must have the same settings. `make` is also called for shared cells.
    ///
    /// For policies of your own. The policies of the other crates have a method `per_key(key,
    /// missing, capacity)`.
    ///
    /// # Errors
    ///
    /// If `capacity` is zero or more than 2^28.
    pub fn new(
        key: K,
        missing: Missing,
        capacity: usize,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Self, InvalidKeyed> {
        if capacity == 0 || capacity > 1 << 28 {
            return Err(InvalidKeyed(capacity));
        }
        Ok(Self {
            key,
            missing,
            table: Arc::new(Table::new(capacity, make)),
        })
    }

    /// Returns a handle to the counters and the cells.
    pub fn handle(&self) -> KeyedHandle<P> {
        KeyedHandle {
            table: Arc::clone(&self.table),
            shared: self.table.unused.figures(),
        }
    }
}

impl<K: fmt::Debug, P> fmt::Debug for Keyed<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("key", &self.key)
            .field("missing", &self.missing)
            .field("keys", &self.table.live)
            .finish_non_exhaustive()
    }
}

impl<K, P: Evictable> Keyed<K, P> {
    /// Enters the cell of this request, or rejects a request without a key.
    #[inline]
    fn place<Req>(&self, req: &Req, now: Instant) -> Result<Place, Rejection>
    where
        K: Key<Req>,
    {
        if let Some(key) = self.key.key(req) {
            return Ok(self.table.enter(key, now, &|| label_of(&self.key, req)));
        }
        self.table.missing.note(&self.key, req, self.missing);
        match self.missing {
            Missing::Admit => Ok(Place::Nowhere),
            Missing::Share => Ok(Place::Shared),
            Missing::Reject(kind) => Err(Rejection::new("missing-key", kind)),
        }
    }
}

impl<Req, K, P> Policy<Req> for Keyed<K, P>
where
    K: Key<Req>,
    P: Policy<Req> + Evictable,
{
    type Permit = KeyedPermit<P::Permit>;
    type Wait = KeyedWait<P::Wait>;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        let place = match self.place(req, now) {
            Ok(place) => place,
            Err(rejection) => return Verdict::Reject(rejection),
        };
        let Some(cell) = self.table.cell(place) else {
            return Verdict::Admit(KeyedPermit {
                place,
                permit: None,
            });
        };
        let entered = InUse {
            table: &self.table,
            place,
        };
        match cell.admit(req, now) {
            Verdict::Admit(permit) => {
                std::mem::forget(entered);
                Verdict::Admit(KeyedPermit {
                    place,
                    permit: Some(permit),
                })
            }
            Verdict::Wait(wait) => {
                std::mem::forget(entered);
                Verdict::Wait(KeyedWait { place, wait })
            }
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        let wait = wait.project();
        let place = *wait.place;
        let Some(cell) = self.table.cell(place) else {
            return Poll::Ready(Ok(KeyedPermit {
                place,
                permit: None,
            }));
        };
        let polled = cell.poll_wait(wait.wait, req, now, cx);
        if let Poll::Ready(Err(_)) = &polled {
            self.table.leave(place);
        }
        polled.map_ok(|permit| KeyedPermit {
            place,
            permit: Some(permit),
        })
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        let wait = wait.project();
        let _entered = InUse {
            table: &self.table,
            place: *wait.place,
        };
        if let Some(cell) = self.table.cell(*wait.place) {
            cell.abandon(wait.wait, now);
        }
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        let _entered = InUse {
            table: &self.table,
            place: permit.place,
        };
        if let (Some(cell), Some(permit)) = (self.table.cell(permit.place), permit.permit) {
            cell.finish(permit, outcome);
        }
    }

    #[inline]
    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        let _entered = InUse {
            table: &self.table,
            place: permit.place,
        };
        if let (Some(cell), Some(permit)) = (self.table.cell(permit.place), permit.permit) {
            cell.revoke(permit, admitted, now);
        }
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        // All cells have the same settings.
        Policy::<Req>::interests(&self.table.unused, asked)
    }

    forward_permit!(
        reports self, permit: (self.table.cell(permit.place), permit),
        (Some(cell), KeyedPermit { permit: Some(permit), .. }) => cell, permit
    );
}
