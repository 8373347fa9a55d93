//! The table: pages of sets, the cells that keys share, and the counts.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use super::{
    Cell,
    set::{Entered, Set, Slot, WAYS},
};
use crate::{MissingKeys, count::Counter};

/// Sets that are allocated together, when the first of their keys comes.
const SETS_PER_PAGE: usize = 64;

type Page<P> = Box<[Set<P>]>;

/// Where a permit's cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Slot(u32),
    Spill,
    Shared,
    /// No key and [`Missing::Admit`]: no cell at all.
    Nowhere,
}

impl Place {
    fn of(set: usize, way: usize) -> Self {
        Self::Slot((set * WAYS + way) as u32)
    }
}

pub(super) struct Table<P> {
    hasher: RandomState,
    make: Box<dyn Fn() -> P + Send + Sync>,
    pages: Box<[OnceLock<Page<P>>]>,
    set_mask: u64,
    pub(super) spill: P,
    shared: P,
    pub(super) live: AtomicU64,
    pub(super) evicted: Counter,
    pub(super) spilled: Counter,
    pub(super) missing: MissingKeys,
}

impl<P: Cell> Table<P> {
    /// A table for at least `capacity` keys.
    pub(super) fn new(capacity: usize, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let sets = capacity
            .div_ceil(WAYS)
            .next_power_of_two()
            .max(SETS_PER_PAGE);
        Self {
            hasher: RandomState::new(),
            pages: (0..sets / SETS_PER_PAGE).map(|_| OnceLock::new()).collect(),
            set_mask: sets as u64 - 1,
            spill: make(),
            shared: make(),
            make: Box::new(make),
            live: AtomicU64::new(0),
            evicted: Counter::new(),
            spilled: Counter::new(),
            missing: MissingKeys::new(),
        }
    }

    /// Keys that can have a cell of their own at the same time.
    pub(super) fn capacity(&self) -> u64 {
        (self.set_mask + 1) * WAYS as u64
    }

    /// The hash of a key; 0 stands for an empty slot.
    #[inline]
    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key).max(1)
    }

    /// The cell of a key, with one user more.
    #[inline]
    pub(super) fn enter(&self, key: impl Hash, now: Instant) -> Place {
        let hash = self.hash(key);
        let set_index = self.set_index(hash);
        let page = self.pages[set_index / SETS_PER_PAGE].get_or_init(|| self.make_page());
        let way = match page[set_index % SETS_PER_PAGE].enter(hash, now) {
            Entered::Known(way) => way,
            Entered::New(way) => {
                self.live.fetch_add(1, Relaxed);
                way
            }
            Entered::Evicting(way) => {
                self.evicted.add();
                way
            }
            Entered::Full => {
                self.spilled.add();
                return Place::Spill;
            }
        };
        Place::of(set_index, way)
    }

    /// The set that this hash belongs to.
    fn set_index(&self, hash: u64) -> usize {
        (hash & self.set_mask) as usize
    }

    /// The cell of a key that is in the table, with one user more.
    pub(super) fn enter_present(&self, key: impl Hash) -> Option<Place> {
        let hash = self.hash(key);
        let set_index = self.set_index(hash);
        let page = self.pages[set_index / SETS_PER_PAGE].get()?;
        let way = page[set_index % SETS_PER_PAGE].find(hash)?;
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
        let page = self.pages[set / SETS_PER_PAGE].get_or_init(|| self.make_page());
        page[set % SETS_PER_PAGE].slot(way)
    }

    #[inline]
    pub(super) fn cell(&self, place: Place) -> Option<&P> {
        match place {
            Place::Slot(index) => Some(&self.slot(index).cell),
            Place::Spill => Some(&self.spill),
            Place::Shared => Some(&self.shared),
            Place::Nowhere => None,
        }
    }
}

/// Leaves the slot, unless the cell's answer keeps it.
pub(super) struct InUse<'a, P: Cell> {
    pub(super) table: &'a Table<P>,
    pub(super) place: Place,
}

impl<P: Cell> Drop for InUse<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.table.leave(self.place);
    }
}
