//! One policy per key, in bounded memory.
//!
//! A set-associative table, like a processor's cache: the hash of a key names a set of eight slots, and the key
//! lives in one of them or nowhere. So memory is bounded by construction, a look-up reads one set, and making room
//! looks at eight slots and never at the rest.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderMap;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{Key, Kind, Outcome, Policy, Rejection, Verdict, count::Counter};

/// Slots in a set.
const WAYS: usize = 8;
/// Sets that are allocated together, when the first of their keys comes.
const SETS_PER_PAGE: usize = 64;
/// `users` of a slot that is being given to another key.
const CLAIMED: u32 = u32::MAX;

/// A policy that can be one of many: it can start over, and knows when nothing would be lost by it.
pub trait Cell: Send + Sync {
    /// Becomes as new. Called only while no request holds a permit of this cell.
    fn reset(&self);

    /// How long until this cell is as good as new: zero when forgetting it would change no decision.
    fn settles_in(&self, now: Instant) -> Duration;
}

/// What becomes of requests without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They are let in, unlimited.
    Admit,
    /// They are refused.
    Refuse(Kind),
    /// They share one cell.
    Share,
}

/// The capacity is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("capacity is {0}, but must be 1 to 2^28 keys")]
pub struct InvalidKeyed(usize);

/// One policy per key, each the same limit, in bounded memory.
///
/// # What is bounded, and how
///
/// At most `capacity` keys (rounded up to a power of two, at least 512) have a cell of their own; memory for cells is taken page
/// by page as keys arrive. A new key takes over a slot whose cell is as good as new ([`Cell::settles_in`] is zero) and
/// holds no permits, so being evicted never gets anybody a fresh allowance early. When a key finds
/// no such slot, it shares one spill cell with the others in that position, until there is room: under a flood of keys the
/// crowd is limited together, and nobody is let in uncounted. Both are counted in the [`KeyedHandle`].
///
/// Keys are kept as 64-bit hashes with a random seed. Two of a million keys share a cell with a probability of
/// about 3 in 100 million.
///
/// # Cost
///
/// A key that is in the table is found without a lock. One that is not takes its set's lock for as long as it takes to
/// look at eight slots.
pub struct Keyed<K, P> {
    key: K,
    missing: Missing,
    table: Arc<Table<P>>,
}

/// Counts and reads a [`Keyed`] policy's table. Clones share it.
pub struct KeyedHandle<P>(Arc<Table<P>>);

/// Where a permit's cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Slot(u32),
    Spill,
    Shared,
    /// No key and [`Missing::Admit`]: no cell at all.
    Nowhere,
}

/// The permit of a [`Keyed`] policy.
#[derive(Debug)]
pub struct KeyedPermit<P> {
    place: Place,
    permit: Option<P>,
}

impl Place {
    fn of(set: usize, way: usize) -> Self {
        Self::Slot((set * WAYS + way) as u32)
    }
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

struct Table<P> {
    hasher: RandomState,
    make: Box<dyn Fn() -> P + Send + Sync>,
    pages: Box<[OnceLock<Page<P>>]>,
    set_mask: u64,
    spill: P,
    shared: P,
    live: AtomicU64,
    evicted: Counter,
    spilled: Counter,
    missing: Counter,
}

type Page<P> = Box<[Set<P>]>;

struct Set<P> {
    /// Held while a slot is given to a key, so that a key never gets two.
    filling: Mutex<()>,
    slots: [Slot<P>; WAYS],
}

struct Slot<P> {
    /// The key's hash, never 0; 0 while the slot is empty.
    hash: AtomicU64,
    /// Permits and waits of this cell, or [`CLAIMED`]. A slot with users keeps its key.
    users: AtomicU32,
    cell: P,
}

impl<K, P: Cell> Keyed<K, P> {
    /// A cell made by `make` for each key that `key` reads, for up to `capacity` keys at a time. All cells must be
    /// equal; `make` is also called for the cells that keys share.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn new(
        key: K,
        missing: Missing,
        capacity: usize,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Self, InvalidKeyed> {
        if capacity == 0 || capacity > 1 << 28 {
            return Err(InvalidKeyed(capacity));
        }
        let sets = capacity
            .div_ceil(WAYS)
            .next_power_of_two()
            .max(SETS_PER_PAGE);
        let table = Table {
            hasher: RandomState::new(),
            pages: (0..sets / SETS_PER_PAGE).map(|_| OnceLock::new()).collect(),
            set_mask: sets as u64 - 1,
            spill: make(),
            shared: make(),
            make: Box::new(make),
            live: AtomicU64::new(0),
            evicted: Counter::new(),
            spilled: Counter::new(),
            missing: Counter::new(),
        };
        Ok(Self {
            key,
            missing,
            table: Arc::new(table),
        })
    }

    /// The counters, and the cells of keys.
    pub fn handle(&self) -> KeyedHandle<P> {
        KeyedHandle(Arc::clone(&self.table))
    }
}

impl<P: Cell> Table<P> {
    /// The cell of a key, with one user more.
    fn enter(&self, hash: u64, now: Instant) -> Place {
        let hash = hash.max(1);
        let set_index = self.set_index(hash);
        let page = self.pages[set_index / SETS_PER_PAGE].get_or_init(|| self.make_page());
        let set = &page[set_index % SETS_PER_PAGE];
        let place = |way: usize| Place::of(set_index, way);

        if let Some(way) = set.find(hash) {
            return place(way);
        }
        let _filling = set.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // Perhaps another thread has just put it there.
        if let Some(way) = set.find(hash) {
            return place(way);
        }
        let Some((way, was_empty)) = set.claim(now) else {
            self.spilled.add();
            return Place::Spill;
        };
        if was_empty {
            self.live.fetch_add(1, Relaxed);
        } else {
            self.evicted.add();
        }
        let slot = &set.slots[way];
        slot.cell.reset();
        slot.hash.store(hash, Relaxed);
        slot.users.store(1, Release);
        place(way)
    }

    /// The set that this hash belongs to.
    fn set_index(&self, hash: u64) -> usize {
        (hash & self.set_mask) as usize
    }

    /// The cell of a key that is in the table, with one user more.
    fn enter_present(&self, hash: u64) -> Option<Place> {
        let hash = hash.max(1);
        let set_index = self.set_index(hash);
        let page = self.pages[set_index / SETS_PER_PAGE].get()?;
        let way = page[set_index % SETS_PER_PAGE].find(hash)?;
        Some(Place::of(set_index, way))
    }

    fn leave(&self, place: Place) {
        if let Place::Slot(index) = place {
            self.slot(index).users.fetch_sub(1, AcqRel);
        }
    }

    fn make_page(&self) -> Page<P> {
        let slot = || Slot {
            hash: AtomicU64::new(0),
            users: AtomicU32::new(0),
            cell: (self.make)(),
        };
        let set = || Set {
            filling: Mutex::new(()),
            slots: std::array::from_fn(|_| slot()),
        };
        (0..SETS_PER_PAGE).map(|_| set()).collect()
    }

    fn slot(&self, index: u32) -> &Slot<P> {
        let (set, way) = (index as usize / WAYS, index as usize % WAYS);
        let page = self.pages[set / SETS_PER_PAGE].get_or_init(|| self.make_page());
        &page[set % SETS_PER_PAGE].slots[way]
    }

    fn cell(&self, place: Place) -> Option<&P> {
        match place {
            Place::Slot(index) => Some(&self.slot(index).cell),
            Place::Spill => Some(&self.spill),
            Place::Shared => Some(&self.shared),
            Place::Nowhere => None,
        }
    }
}

impl<P: Cell> Set<P> {
    /// The slot of this key, with one user more.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.hash.load(Relaxed) == hash && slot.enter(hash))
    }

    /// A slot that may be given away, with `users` set to [`CLAIMED`]: an empty one, or one whose cell is as good as
    /// new. `true` when it was empty. The caller holds `filling`.
    fn claim(&self, now: Instant) -> Option<(usize, bool)> {
        let empty = |slot: &Slot<P>| slot.hash.load(Relaxed) == 0;
        let claimed = |way: &usize| {
            self.slots[*way]
                .users
                .compare_exchange(0, CLAIMED, AcqRel, Relaxed)
                .is_ok()
        };
        if let Some(way) = (0..WAYS)
            .filter(|way| empty(&self.slots[*way]))
            .find(claimed)
        {
            return Some((way, true));
        }
        for way in (0..WAYS).filter(|way| self.slots[*way].cell.settles_in(now).is_zero()) {
            if claimed(&way) {
                // It may have been used between the look and the claim.
                if self.slots[way].cell.settles_in(now).is_zero() {
                    return Some((way, false));
                }
                self.slots[way].users.store(0, Release);
            }
        }
        None
    }
}

impl<P> Slot<P> {
    /// Becomes a user of this slot, if it still is this key's.
    #[inline]
    fn enter(&self, hash: u64) -> bool {
        let mut users = self.users.load(Relaxed);
        loop {
            if users >= CLAIMED - 1 {
                return false;
            }
            match self
                .users
                .compare_exchange_weak(users, users + 1, Acquire, Relaxed)
            {
                // The key cannot change any more.
                Ok(_) if self.hash.load(Relaxed) == hash => return true,
                Ok(_) => {
                    self.users.fetch_sub(1, Release);
                    return false;
                }
                Err(now) => users = now,
            }
        }
    }
}

impl<P: Cell> KeyedHandle<P> {
    /// Keys that have a cell of their own.
    pub fn keys(&self) -> u64 {
        self.0.live.load(Relaxed)
    }

    /// Keys that can have one at the same time.
    pub fn capacity(&self) -> u64 {
        (self.0.set_mask + 1) * WAYS as u64
    }

    /// Cells that were given to another key, after they had become as good as new.
    pub fn evicted(&self) -> u64 {
        self.0.evicted.get()
    }

    /// Requests that had to share the spill cell.
    pub fn spilled(&self) -> u64 {
        self.0.spilled.get()
    }

    /// Requests without a key.
    pub fn missing(&self) -> u64 {
        self.0.missing.get()
    }

    /// The cell that the keys without one share: any cell has the settings of all.
    pub fn spill_cell(&self) -> &P {
        &self.0.spill
    }

    /// Looks at the cell of a key, if it has one of its own: `key` must hash as the policy's key does
    /// (a [`ClientAddr`](crate::ClientAddr), a header's bytes as `&[u8]`, a route as `&str`).
    pub fn with_cell<R>(&self, key: impl Hash, look: impl FnOnce(&P) -> R) -> Option<R> {
        let place = self.0.enter_present(self.0.hasher.hash_one(key))?;
        let _entered = Entered {
            table: &self.0,
            place,
        };
        self.0.cell(place).map(look)
    }
}

impl<P> Clone for KeyedHandle<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> fmt::Debug for KeyedHandle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHandle")
            .field("keys", &self.0.live)
            .finish_non_exhaustive()
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

impl<K, P: Cell> Keyed<K, P> {
    /// Where this request is counted, entered; or the refusal when it has no key.
    #[inline]
    fn place<Req>(&self, req: &Req, now: Instant) -> Result<Place, Rejection>
    where
        K: Key<Req>,
    {
        if let Some(key) = self.key.key(req) {
            return Ok(self.table.enter(self.table.hasher.hash_one(key), now));
        }
        self.table.missing.add();
        match self.missing {
            Missing::Admit => Ok(Place::Nowhere),
            Missing::Share => Ok(Place::Shared),
            Missing::Refuse(kind) => Err(Rejection::new("missing-key", kind)),
        }
    }
}

/// Leaves the slot, unless the cell's answer keeps it.
struct Entered<'a, P: Cell> {
    table: &'a Table<P>,
    place: Place,
}

impl<P: Cell> Drop for Entered<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.table.leave(self.place);
    }
}

impl<Req, K, P> Policy<Req> for Keyed<K, P>
where
    K: Key<Req>,
    P: Policy<Req> + Cell,
{
    type Permit = KeyedPermit<P::Permit>;
    type Wait = KeyedWait<P::Wait>;
    const READS_LATENCY: bool = P::READS_LATENCY;

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
        let entered = Entered {
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

    fn abandon(&self, wait: Pin<&mut Self::Wait>) {
        let wait = wait.project();
        let _entered = Entered {
            table: &self.table,
            place: *wait.place,
        };
        if let Some(cell) = self.table.cell(*wait.place) {
            cell.abandon(wait.wait);
        }
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        let _entered = Entered {
            table: &self.table,
            place: permit.place,
        };
        if let (Some(cell), Some(permit)) = (self.table.cell(permit.place), permit.permit) {
            cell.finish(permit, outcome);
        }
    }

    #[inline]
    fn revoke(&self, permit: Self::Permit) {
        let _entered = Entered {
            table: &self.table,
            place: permit.place,
        };
        if let (Some(cell), Some(permit)) = (self.table.cell(permit.place), permit.permit) {
            cell.revoke(permit);
        }
    }

    fn announce(&self, permit: &Self::Permit, headers: &mut HeaderMap) {
        if let (Some(cell), Some(permit)) = (self.table.cell(permit.place), &permit.permit) {
            cell.announce(permit, headers);
        }
    }
}
