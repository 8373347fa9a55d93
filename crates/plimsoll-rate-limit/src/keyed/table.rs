//! The table: which two sets a key may be in, and who has to go when both are full.

use std::{
    array,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{
            AtomicU64 as Count,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

use plimsoll_core::{Counter, MissingKeys};

use super::set::{Set, WAYS};
use crate::{
    cell::{Cell, RETURNED_BITS},
    rate_limit::State,
    refunds::{Ledger, Refunds},
    settings::Settings,
    sync::{AtomicU64, Mutex},
};

/// Sets that are allocated together, when the first of their keys comes.
const SETS_PER_PAGE: usize = 1024;
/// Sets that remember together what those had taken who were pushed out.
const SETS_PER_DEBT: usize = 4;
/// Keys without a cell wait for each other only if they share one of these. Many, because a thread of a flood may be put to sleep
/// while it holds one.
const LOCKS: usize = if cfg!(loom) { 2 } else { 4096 };
/// Logs of refunds, shared by the keys that hash to the same one. Keys that share a log evict each
/// other's entries; a waiter whose entries were evicted may be refunded less.
const LEDGERS: usize = if cfg!(loom) { 1 } else { 16 };

/// Sets, and for each few of them what keys had taken that were pushed out: those who come next begin with at least that.
///
/// A key that comes back may find more room in its other set than the one had who pushed it out.
struct Page<const N: usize> {
    sets: Box<[Set<N>]>,
    owed: Box<[[AtomicU64; N]]>,
}

/// A key's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed(pub(super) u64);

/// What is left of a hash in a cell, above the count of what was given back. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Hashed {
    /// Two places among so many, from different halves.
    #[inline]
    fn places(self, sets: usize) -> [usize; 2] {
        let within = |half: u64| ((half * sets as u64) >> 32) as usize;
        [within(self.0 >> 32), within(self.0 & 0xffff_ffff)]
    }

    /// Forty bits that the places leave open: multiplied, so that all bits of the hash are in them.
    #[inline]
    fn mark(self) -> Mark {
        Mark((self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> RETURNED_BITS).max(1))
    }
}

impl Mark {
    #[inline]
    pub(super) fn is_in(self, tag: u64) -> bool {
        tag >> RETURNED_BITS == self.0
    }

    fn tag(self) -> u64 {
        self.0 << RETURNED_BITS
    }
}

pub(super) struct Table<const N: usize> {
    pub(super) settings: Arc<Settings<N>>,
    hasher: RandomState,
    sets: usize,
    pages: Box<[OnceLock<Page<N>>]>,
    /// Held while a key is given a cell, so that it never gets two.
    making: Box<[Mutex<()>]>,
    keyless: State<N>,
    refunds: [Refunds<N>; LEDGERS],
    pub(super) keys: Count,
    pub(super) evicted: Counter,
    pub(super) inherited: Counter,
    pub(super) missing: MissingKeys,
}

impl<const N: usize> Table<N> {
    /// A table in which `capacity` keys find room.
    pub(super) fn new(settings: Arc<Settings<N>>, capacity: usize) -> Self {
        // Three quarters full, 98 of 100 keys have found an empty cell among their eight, and five of six in their first
        // set; half full, all but one in a thousand, and nine of ten.
        let sets = (capacity + capacity * 7 / 20).div_ceil(WAYS);
        Self {
            settings,
            hasher: RandomState::new(),
            sets,
            pages: (0..sets.div_ceil(SETS_PER_PAGE))
                .map(|_| OnceLock::new())
                .collect(),
            making: (0..sets.min(LOCKS)).map(|_| Mutex::new(())).collect(),
            keyless: State::new(),
            refunds: array::from_fn(|_| Refunds::new()),
            keys: Count::new(0),
            evicted: Counter::new(),
            inherited: Counter::new(),
            missing: MissingKeys::new(),
        }
    }

    /// Keys that can have a cell at the same time.
    pub(super) fn capacity(&self) -> usize {
        self.sets * WAYS
    }

    /// Bytes of the pages that there are.
    pub(super) fn bytes(&self) -> usize {
        let sets = self
            .pages
            .iter()
            .filter_map(OnceLock::get)
            .map(|page| page.sets.len());
        let owed = size_of::<[AtomicU64; N]>() / SETS_PER_DEBT;
        sets.sum::<usize>() * (size_of::<Set<N>>() + owed)
    }

    #[inline]
    pub(super) fn hash(&self, key: impl Hash) -> Hashed {
        Hashed(self.hasher.hash_one(key))
    }

    /// The cell that the requests without a key share.
    pub(super) fn keyless(&self) -> Cell<'_, N> {
        self.keyless.cell(&self.settings)
    }

    pub(super) fn keyless_ledger(&self) -> Ledger<'_, N> {
        Ledger {
            refunds: &self.keyless.refunds,
            owner: 0,
            leased: false,
        }
    }

    /// The log of refunds of this key.
    pub(super) fn ledger(&self, hash: Hashed) -> Ledger<'_, N> {
        Ledger {
            refunds: &self.refunds[self.lock(hash) % LEDGERS],
            owner: hash.0,
            leased: false,
        }
    }

    /// The key's cell, if it has one.
    #[inline]
    pub(super) fn find(&self, hash: Hashed) -> Option<Cell<'_, N>> {
        let mark = hash.mark();
        let [first, second] = hash.places(self.sets);
        let found = |place: usize| {
            let set = self.set(place);
            let way = set.find(mark)?;
            Some(set.cell(way, &self.settings.quotas))
        };
        // Most keys are in their first set: the second is not touched for them.
        found(first).or_else(|| found(second))
    }

    /// The key's cell; it is given one if need be.
    #[inline]
    pub(super) fn find_or_make(&self, hash: Hashed, now: u64) -> Cell<'_, N> {
        match self.find(hash) {
            Some(cell) => cell,
            None => self.make(hash, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn make(&self, hash: Hashed, now: u64) -> Cell<'_, N> {
        let _making = self.making[self.lock(hash)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            // Perhaps another thread has just made it.
            if let Some(cell) = self.find(hash) {
                return cell;
            }
            let (place, cell, tag) = self.room_for(hash, now);
            let in_use = tag != 0 && cell.settles_in(now) > 0;
            if in_use {
                let owed = Cell {
                    words: self.owed(place),
                    ..cell
                };
                owed.raise_to(cell.words, now);
            }
            // What was taken stays: whoever comes next begins with it. Before it is found, or it could take more.
            for place in hash.places(self.sets) {
                cell.raise_to(self.owed(place), now);
            }
            let taken_over = cell
                .tag
                .compare_exchange(tag, hash.mark().tag(), AcqRel, Relaxed);
            if taken_over.is_ok() {
                if tag == 0 {
                    self.keys.fetch_add(1, Relaxed);
                } else {
                    self.evicted.add();
                }
                if in_use {
                    self.inherited.add();
                }
                return cell;
            }
        }
    }

    /// The lock under which this key is given a cell.
    pub(super) fn lock(&self, hash: Hashed) -> usize {
        // The product's middle bits: neither the places' nor the mark's alone.
        (hash.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as usize % self.making.len()
    }

    /// Of the key's eight cells one that nobody has; else one from which nothing is missing; else the one from which least
    /// is. In its first set rather than its second, unless that is emptier by two. With the cell its set, and its tag.
    fn room_for(&self, hash: Hashed, now: u64) -> (usize, Cell<'_, N>, u64) {
        let sets = hash.places(self.sets).map(|place| {
            let set = self.set(place);
            let cells: [_; WAYS] = array::from_fn(|way| set.cell(way, &self.settings.quotas));
            cells.map(|cell| (place, cell, cell.tag.load(Acquire)))
        });
        let nobodys = |(.., tag): &(usize, Cell<'_, N>, u64)| *tag == 0;
        let [first, second] = sets
            .each_ref()
            .map(|set| set.iter().filter(|cell| nobodys(cell)).count());
        let emptier = usize::from(second > first + 1 || first == 0);
        if let Some(empty) = sets[emptier].into_iter().find(nobodys) {
            return empty;
        }
        // Those that are whole again are alike.
        let missing = |cell: Cell<'_, N>| cell.rank(now).max(now);
        let [first, second] = sets;
        let [mut room, ..] = first;
        let mut least = missing(room.1);
        for other in first.into_iter().chain(second) {
            let missing = missing(other.1);
            if missing < least {
                (room, least) = (other, missing);
            }
        }
        room
    }

    #[inline]
    fn set(&self, place: usize) -> &Set<N> {
        &self.page(place).sets[place % SETS_PER_PAGE]
    }

    /// What keys had taken that were pushed out of a set.
    fn owed(&self, place: usize) -> &[AtomicU64; N] {
        &self.page(place).owed[place % SETS_PER_PAGE / SETS_PER_DEBT]
    }

    #[inline]
    fn page(&self, place: usize) -> &Page<N> {
        self.pages[place / SETS_PER_PAGE].get_or_init(|| {
            let first = place / SETS_PER_PAGE * SETS_PER_PAGE;
            let sets = SETS_PER_PAGE.min(self.sets - first);
            Page {
                sets: (0..sets).map(|_| Set::new()).collect(),
                owed: (0..sets.div_ceil(SETS_PER_DEBT))
                    .map(|_| array::from_fn(|_| AtomicU64::new(0)))
                    .collect(),
            }
        })
    }
}
