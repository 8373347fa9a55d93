//! One policy per key, in bounded memory.
//!
//! A set-associative table, as in a processor's cache: the hash of a key selects a set of eight
//! slots, and the key is in one of them or absent. Memory is bounded by construction, a look-up
//! reads one set, and an eviction examines only eight slots.

mod handle;
mod set;
mod slot;
mod table;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

pub use self::handle::KeyedHandle;
use self::table::{InUse, Place, Table};
use super::forward::forward_permit;
use crate::{Interests, Key, Missing, Outcome, Policy, Rejection, Verdict, key::label_of};

/// A policy that can be evicted from a per-key table and reset for another key.
pub trait Evictable: Send + Sync {
    /// Resets the cell to its initial state. Called only while no request holds a permit of this
    /// cell.
    fn reset(&self);

    /// Returns how long until a reset changes no decision: zero when the cell may be evicted.
    fn settles_in(&self, now: Instant) -> Duration;

    /// Marks the cell as an overflow cell. Called once, before any request.
    fn overflow(&self) {}

    /// Called after the cell was given to a key, without a lock.
    ///
    /// `label` returns the key's [label](Key::label), for reports. Usually before the first request
    /// of the key is decided; concurrent requests of a new key may come before. Does nothing by
    /// default.
    fn assigned(&self, label: &dyn Fn() -> Option<Box<str>>, now: Instant) {
        _ = (label, now);
    }
}

/// The capacity is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("capacity must be 1 to 2^28 keys, got {0}")]
pub struct InvalidKeyed(usize);

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
        KeyedHandle(Arc::clone(&self.table))
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
