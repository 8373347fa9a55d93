//! The table: pages of sets, the shared cells, and the counters.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use super::{
    evictable::Evictable,
    set::{Entered, Set, WAYS},
    slot::{KeyHash, Slot},
};
use crate::{Epoch, MissingKeys, count::Counter, panics};

/// Sets per page. A page is allocated when the first of its keys arrives.
const SETS_PER_PAGE: usize = 64;

type Page<P> = Box<[Set<P>]>;

/// The cell of a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Slot(u32),
    /// The overflow cell of a page.
    Overflow(u32),
    /// The cell of all requests without a key.
    Shared,
    /// No cell: a request without a key that is admitted without a limit.
    Nowhere,
}

impl Place {
    fn of(set: usize, way: usize) -> Self {
        Self::Slot((set * WAYS + way) as u32)
    }
}

pub(super) struct Table<P> {
    hasher: RandomState,
    epoch: Epoch,
    make: Box<dyn Fn() -> P + Send + Sync>,
    pages: Box<[OnceLock<Page<P>>]>,
    /// For each page, the cell of the keys that found no slot in it.
    overflow: Box<[OnceLock<P>]>,
    set_mask: u64,
    /// Holds the settings that all cells share; counts no requests.
    pub(super) unused: P,
    shared: P,
    pub(super) live: AtomicU64,
    pub(super) evicted: Counter,
    pub(super) overflowed: Counter,
    pub(super) missing: MissingKeys,
}

impl<P: Evictable> Table<P> {
    /// A table for at least `capacity` keys.
    pub(super) fn new(capacity: usize, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let sets = capacity
            .div_ceil(WAYS)
            .next_power_of_two()
            .max(SETS_PER_PAGE);
        Self {
            hasher: RandomState::new(),
            epoch: Epoch::new(),
            pages: (0..sets / SETS_PER_PAGE).map(|_| OnceLock::new()).collect(),
            overflow: (0..sets / SETS_PER_PAGE).map(|_| OnceLock::new()).collect(),
            set_mask: sets as u64 - 1,
            unused: make(),
            shared: make(),
            make: Box::new(make),
            live: AtomicU64::new(0),
            evicted: Counter::new(),
            overflowed: Counter::new(),
            missing: MissingKeys::new(),
        }
    }

    /// Returns how many keys can have a cell of their own at the same time.
    pub(super) fn capacity(&self) -> u64 {
        (self.set_mask + 1) * WAYS as u64
    }

    /// Finds or creates the cell of a key, and adds a user.
    #[inline]
    pub(super) fn enter(
        &self,
        key: impl Hash,
        now: Instant,
        label: &dyn Fn() -> Option<Box<str>>,
    ) -> Place {
        let hash = self.hasher.hash_one(key);
        let set_index = self.set_index(hash);
        let page = self.page(set_index / SETS_PER_PAGE);
        let set = &page[set_index % SETS_PER_PAGE];
        let way = match set.enter(KeyHash::new(hash), now, &self.epoch) {
            Entered::Known(way) => way,
            Entered::New(way) => {
                self.live.fetch_add(1, Relaxed);
                Self::assign(set.slot(way), label, now);
                way
            }
            Entered::Evicting(way) => {
                self.evicted.add();
                Self::assign(set.slot(way), label, now);
                way
            }
            Entered::Full => {
                self.overflowed.add();
                return Place::Overflow((set_index / SETS_PER_PAGE) as u32);
            }
        };
        Place::of(set_index, way)
    }

    /// Passes the label of a new key to its cell. A panic is caught, so that the slot keeps its users.
    #[cold]
    fn assign(slot: &Slot<P>, label: &dyn Fn() -> Option<Box<str>>, now: Instant) {
        panics::contain(|| slot.cell.assigned(label, now));
    }

    /// Returns the set of a hash, from its lowest bits. Slots do not store two of these bits.
    #[inline]
    fn set_index(&self, hash: u64) -> usize {
        (hash & self.set_mask) as usize
    }

    /// Finds the cell of a key that is in the table, and adds a user.
    pub(super) fn enter_present(&self, key: impl Hash) -> Option<Place> {
        let hash = self.hasher.hash_one(key);
        let set_index = self.set_index(hash);
        let page = self.pages[set_index / SETS_PER_PAGE].get()?;
        let way = page[set_index % SETS_PER_PAGE].find(KeyHash::new(hash))?;
        Some(Place::of(set_index, way))
    }

    #[inline]
    pub(super) fn leave(&self, place: Place) {
        if let Place::Slot(index) = place {
            self.slot(index).leave();
        }
    }

    fn make_page(&self) -> Page<P> {
        (0..SETS_PER_PAGE).map(|_| Set::new(&self.make)).collect()
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot<P> {
        let (set, way) = (index as usize / WAYS, index as usize % WAYS);
        self.page(set / SETS_PER_PAGE)[set % SETS_PER_PAGE].slot(way)
    }

    #[inline]
    fn page(&self, page: usize) -> &Page<P> {
        self.pages[page].get_or_init(|| self.make_page())
    }

    /// Returns the overflow cells created so far.
    pub(super) fn overflow_cells(&self) -> impl Iterator<Item = &P> {
        self.overflow.iter().filter_map(OnceLock::get)
    }

    fn overflow_cell(&self, page: u32) -> &P {
        self.overflow[page as usize].get_or_init(|| {
            let cell = (self.make)();
            cell.overflow();
            cell
        })
    }

    #[inline]
    pub(super) fn cell(&self, place: Place) -> Option<&P> {
        match place {
            Place::Slot(index) => Some(&self.slot(index).cell),
            _ => self.shared_cell(place),
        }
    }

    /// Performance: out of line, so that the look-up of a key's own cell is short enough to be
    /// inlined (`instructions`, `concurrency-per-key@accept`: 40 instructions).
    #[cold]
    #[inline(never)]
    fn shared_cell(&self, place: Place) -> Option<&P> {
        match place {
            Place::Overflow(page) => Some(self.overflow_cell(page)),
            Place::Shared => Some(&self.shared),
            Place::Slot(_) | Place::Nowhere => None,
        }
    }
}

/// Ends a use of the slot when dropped. Disarmed with `mem::forget` while a permit or a wait keeps
/// the use.
pub(super) struct InUse<'a, P: Evictable> {
    pub(super) table: &'a Table<P>,
    pub(super) place: Place,
}

impl<P: Evictable> Drop for InUse<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.table.leave(self.place);
    }
}
