//! The table: which two sets a key may be in, and who has a cell.

use std::{
    array,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{
            AtomicU64 as Count,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

use plimsoll_core::{Counter, MissingKeys};

use super::{
    hashed::Hashed,
    overflow::{Overflow, remember},
    page::{Page, SETS_PER_PAGE},
    room::{Room, room},
    set::{Set, WAYS},
};
use crate::{
    cell::{Cell, Empty, Token},
    rate_limit::State,
    refunds::{Ledger, Refunds},
    settings::Settings,
    sync::{AtomicU64, Mutex},
};

/// Keys without a cell wait for each other only if they share one of these. Many, because a thread of a flood may be put to sleep
/// while it holds one.
const LOCKS: usize = if cfg!(loom) { 2 } else { 4096 };
/// Logs of refunds, shared by the keys that hash to the same one. Keys that share a log evict each
/// other's entries; a waiter whose entries were evicted may be refunded less.
const LEDGERS: usize = if cfg!(loom) { 1 } else { 16 };

pub(super) struct Table<const N: usize> {
    pub(super) settings: Arc<Settings<N>>,
    hasher: RandomState,
    sets: usize,
    pages: Box<[OnceLock<Page<N>>]>,
    /// Held while a key is given a cell or takes from overflow, so that it never gets two cells.
    making: Box<[Mutex<()>]>,
    keyless: State<N>,
    refunds: [Refunds<N>; LEDGERS],
    /// The count of released tokens of all overflow buckets.
    overflow_tag: AtomicU64,
    pub(super) keys: Count,
    pub(super) evicted: Counter,
    pub(super) inherited: Counter,
    pub(super) overflowed: Counter,
    pub(super) missing: MissingKeys,
}

/// From where a token was taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Key(Hashed),
    /// The key had no cell, and took from this one of its overflow buckets.
    Overflow(Hashed, u8),
    /// All requests without a key share one cell.
    Keyless,
    /// It was admitted without being counted.
    Nobody,
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
            overflow_tag: AtomicU64::new(0),
            keys: Count::new(0),
            evicted: Counter::new(),
            inherited: Counter::new(),
            overflowed: Counter::new(),
            missing: MissingKeys::new(),
        }
    }

    /// Keys that can have a cell at the same time.
    pub(super) fn capacity(&self) -> usize {
        self.sets * WAYS
    }

    /// Bytes of the pages that there are.
    pub(super) fn bytes(&self) -> usize {
        let pages = self.pages.iter().filter_map(OnceLock::get);
        pages.map(Page::bytes).sum()
    }

    #[inline]
    pub(super) fn hash(&self, key: impl Hash) -> Hashed {
        Hashed(self.hasher.hash_one(key))
    }

    /// The cell that the requests without a key share.
    pub(super) fn keyless(&self) -> Cell<'_, N> {
        self.keyless.cell(&self.settings)
    }

    /// The cell of a token's owner, if it still has one, and the log of its refunds.
    pub(super) fn cell_of(&self, owner: Owner) -> Option<(Cell<'_, N>, Ledger<'_, N>)> {
        match owner {
            Owner::Key(hash) => Some((self.find(hash)?, self.ledger(hash))),
            Owner::Overflow(hash, which) => {
                let Overflow(buckets) = self.overflow(hash);
                let bucket = *buckets.get(usize::from(which))?;
                Some((bucket, self.ledger(hash)))
            }
            Owner::Keyless => {
                let ledger = Ledger {
                    refunds: &self.keyless.refunds,
                    owner: 0,
                    leased: false,
                };
                Some((self.keyless(), ledger))
            }
            Owner::Nobody => None,
        }
    }

    /// The log of refunds of this key.
    fn ledger(&self, hash: Hashed) -> Ledger<'_, N> {
        Ledger {
            refunds: &self.refunds[self.lock(hash) % LEDGERS],
            owner: hash.0,
            leased: false,
        }
    }

    /// The key's cell, if the key is known.
    #[inline]
    pub(super) fn find_known(&self, hash: Hashed) -> Option<Cell<'_, N>> {
        let mark = hash.mark();
        let [first, second] = hash.places(self.sets);
        let found = |place: usize| {
            let set = self.set(place);
            let way = set.find_known(mark)?;
            Some(set.cell(way, &self.settings.quotas))
        };
        // Most keys are in their first set: the second is not touched for them.
        found(first).or_else(|| found(second))
    }

    /// The key's cell, if it has one.
    pub(super) fn find(&self, hash: Hashed) -> Option<Cell<'_, N>> {
        let (set, way) = self.position(hash)?;
        Some(set.cell(way, &self.settings.quotas))
    }

    fn position(&self, hash: Hashed) -> Option<(&Set<N>, usize)> {
        let mut sets = hash
            .places(self.sets)
            .map(|place| self.set(place))
            .into_iter();
        sets.find_map(|set| Some((set, set.find(hash.mark())?)))
    }

    /// Takes for a key that is not known.
    #[cold]
    #[inline(never)]
    pub(super) fn take_unknown(
        &self,
        hash: Hashed,
        now: u64,
        cost: u32,
    ) -> Result<(Owner, Token<N>), Empty> {
        let _making = self.making(hash);
        let cell = self.promoted(hash);
        if let Some(cell) = cell.or_else(|| self.find_or_make(hash, now)) {
            return Ok((Owner::Key(hash), cell.take(now, cost)?));
        }
        self.overflowed.add();
        let (which, token) = self.overflow(hash).take(now, cost)?;
        Ok((Owner::Overflow(hash, which), token))
    }

    /// Takes a cost that is known only now, even if that leaves a debt.
    pub(super) fn charge(&self, hash: Hashed, now: u64, cost: u32) {
        if let Some(cell) = self.find(hash) {
            return cell.charge(now, cost);
        }
        // It may have lost its cell, or never had one; its debt is kept with it.
        let _making = self.making(hash);
        match self.find_or_make(hash, now) {
            Some(cell) => cell.charge(now, cost),
            None => self.overflow(hash).charge(now, cost),
        }
    }

    /// The cell of a key that has one on probation, or that another thread has just promoted. This
    /// is its second request, so from now on the key is known.
    fn promoted(&self, hash: Hashed) -> Option<Cell<'_, N>> {
        let (set, way) = self.position(hash)?;
        let promoted = set.promote(way, hash.mark());
        promoted.then(|| set.cell(way, &self.settings.quotas))
    }

    /// The key's cell; it is given one if there is room. The caller holds the key's lock.
    fn find_or_make<'a>(&'a self, hash: Hashed, now: u64) -> Option<Cell<'a, N>> {
        let sets = hash.places(self.sets).map(|place| (place, self.set(place)));
        loop {
            if let Some(cell) = self.find(hash) {
                return Some(cell);
            }
            let cells =
                |set: &'a Set<N>| array::from_fn(|way| set.cell(way, &self.settings.quotas));
            let room = room(sets.map(|(place, set)| (place, cells(set))), now)?;
            let Room { cell, tag, .. } = room;
            if room.in_use {
                remember(self.page(room.place).overflow(room.place), cell, now);
            }
            // What was taken stays taken, by whoever has the cell. Before it is found, or the key could take more.
            self.overflow(hash).raise(cell, now);
            let probation = hash.mark().on_probation();
            let taken_over = cell.tag.compare_exchange(tag, probation, AcqRel, Relaxed);
            if taken_over.is_ok() {
                if tag == 0 {
                    self.keys.fetch_add(1, Relaxed);
                } else {
                    self.evicted.add();
                }
                if room.in_use {
                    self.inherited.add();
                }
                return Some(cell);
            }
        }
    }

    fn making(&self, hash: Hashed) -> impl Drop + '_ {
        let lock = self.making[self.lock(hash)].lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock under which this key is given a cell.
    pub(super) fn lock(&self, hash: Hashed) -> usize {
        // The product's middle bits: neither the places' nor the mark's alone.
        (hash.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as usize % self.making.len()
    }

    /// The overflow buckets of a key.
    fn overflow(&self, hash: Hashed) -> Overflow<'_, N> {
        Overflow(hash.places(self.sets).map(|place| Cell {
            quotas: &self.settings.quotas,
            tag: &self.overflow_tag,
            words: self.page(place).overflow(place),
        }))
    }

    #[inline]
    fn set(&self, place: usize) -> &Set<N> {
        self.page(place).set(place)
    }

    #[inline]
    fn page(&self, place: usize) -> &Page<N> {
        self.pages[place / SETS_PER_PAGE].get_or_init(|| {
            let first = place / SETS_PER_PAGE * SETS_PER_PAGE;
            Page::new(SETS_PER_PAGE.min(self.sets - first))
        })
    }
}
