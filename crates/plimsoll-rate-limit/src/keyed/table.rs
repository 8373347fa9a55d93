//! The table: the two sets of each key, and the assignment of cells to keys.

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

use plimsoll_core::{key::MissingKeys, policy::Counter};

use super::{
    eviction::{Candidate, candidate},
    hashed::Hashed,
    overflow::{Overflow, record},
    page::{Page, SETS_PER_PAGE},
    set::{Set, WAYS},
};
use crate::{
    cell::Cell,
    refunds::{Ledger, Refunds},
    settings::Settings,
    state::State,
    sync::{AtomicU64, Mutex},
    token::{Empty, Token},
};

/// Locks of the table, one per group of keys without a known cell. Many, because a thread may be
/// descheduled while it holds one.
const LOCKS: usize = if cfg!(loom) { 2 } else { 4096 };
/// Logs of refunds, shared by the keys that hash to the same one. Keys that share a log evict each
/// other's entries; a waiter whose entries were evicted may be refunded less.
const LEDGERS: usize = if cfg!(loom) { 1 } else { 16 };

pub(super) struct Table<const N: usize> {
    pub(super) settings: Arc<Settings<N>>,
    hasher: RandomState,
    sets: usize,
    pages: Box<[OnceLock<Page<N>>]>,
    /// Held while a key gets a cell or takes from overflow, so that it never gets two cells.
    locks: Box<[Mutex<()>]>,
    keyless: State<N>,
    refunds: [Refunds<N>; LEDGERS],
    /// The count of refunded tokens of all overflow buckets.
    overflow_tag: AtomicU64,
    pub(super) keys: Count,
    pub(super) evicted: Counter,
    pub(super) inherited: Counter,
    pub(super) overflowed: Counter,
    pub(super) missing: MissingKeys,
}

/// The source of a token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Key(Hashed),
    /// One of the overflow buckets of a key without a cell.
    Overflow(Hashed, u8),
    /// The cell that all requests without a key share.
    Keyless,
    /// The request was admitted without being counted.
    Uncounted,
}

impl<const N: usize> Table<N> {
    /// Creates a table with room for `capacity` keys.
    pub(super) fn new(settings: Arc<Settings<N>>, capacity: usize) -> Self {
        // At three quarters of the cells in use, 98 of 100 keys find an empty cell among their
        // eight, and five of six in their first set; at half, 999 of 1,000, and nine of ten.
        let sets = (capacity + capacity * 7 / 20).div_ceil(WAYS);
        Self {
            settings,
            hasher: RandomState::new(),
            sets,
            pages: (0..sets.div_ceil(SETS_PER_PAGE))
                .map(|_| OnceLock::new())
                .collect(),
            locks: (0..sets.min(LOCKS)).map(|_| Mutex::new(())).collect(),
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

    /// Cells: the number of keys that can have one at the same time.
    pub(super) fn capacity(&self) -> usize {
        self.sets * WAYS
    }

    /// Bytes of the allocated pages.
    pub(super) fn bytes(&self) -> usize {
        let pages = self.pages.iter().filter_map(OnceLock::get);
        pages.map(Page::bytes).sum()
    }

    #[inline]
    pub(super) fn hash(&self, key: impl Hash) -> Hashed {
        Hashed(self.hasher.hash_one(key))
    }

    /// The cell that requests without a key share.
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
            Owner::Uncounted => None,
        }
    }

    /// The log of refunds of this key.
    fn ledger(&self, hash: Hashed) -> Ledger<'_, N> {
        Ledger {
            refunds: &self.refunds[self.lock_index(hash) % LEDGERS],
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
        // Performance: most keys are in their first set; then the second is not read.
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
        let _locked = self.lock_key(hash);
        let cell = self.promoted(hash);
        if let Some(cell) = cell.or_else(|| self.find_or_create(hash, now)) {
            return Ok((Owner::Key(hash), cell.take(now, cost)?));
        }
        self.overflowed.add();
        let (which, token) = self.overflow(hash).take(now, cost)?;
        Ok((Owner::Overflow(hash, which), token))
    }

    /// Takes an unconditional cost, even if that leaves a debt.
    pub(super) fn charge(&self, hash: Hashed, now: u64, cost: u32) {
        if let Some(cell) = self.find(hash) {
            return cell.charge(now, cost);
        }
        // The key may have lost its cell, or never had one. Its debt is recorded in the new one.
        let _locked = self.lock_key(hash);
        match self.find_or_create(hash, now) {
            Some(cell) => cell.charge(now, cost),
            None => self.overflow(hash).charge(now, cost),
        }
    }

    /// The cell of a key that has one on probation, or that another thread has just promoted. This
    /// is its second request, so the key is known from now on.
    fn promoted(&self, hash: Hashed) -> Option<Cell<'_, N>> {
        let (set, way) = self.position(hash)?;
        let promoted = set.promote(way, hash.mark());
        promoted.then(|| set.cell(way, &self.settings.quotas))
    }

    /// The key's cell, or a new one if there is room. The caller holds the key's lock.
    fn find_or_create<'a>(&'a self, hash: Hashed, now: u64) -> Option<Cell<'a, N>> {
        let sets = hash.places(self.sets).map(|place| (place, self.set(place)));
        loop {
            if let Some(cell) = self.find(hash) {
                return Some(cell);
            }
            let cells =
                |set: &'a Set<N>| array::from_fn(|way| set.cell(way, &self.settings.quotas));
            let candidate = candidate(sets.map(|(place, set)| (place, cells(set))), now)?;
            let Candidate { cell, tag, .. } = candidate;
            if candidate.in_use {
                record(
                    self.page(candidate.place).overflow(candidate.place),
                    cell,
                    now,
                );
            }
            // The cell inherits what was taken. Before the cell can be found; otherwise the key
            // could take more.
            self.overflow(hash).raise(cell, now);
            let probation = hash.mark().on_probation();
            let taken_over = cell.tag.compare_exchange(tag, probation, AcqRel, Relaxed);
            if taken_over.is_ok() {
                if tag == 0 {
                    self.keys.fetch_add(1, Relaxed);
                } else {
                    self.evicted.add();
                }
                if candidate.in_use {
                    self.inherited.add();
                }
                return Some(cell);
            }
        }
    }

    fn lock_key(&self, hash: Hashed) -> impl Drop + '_ {
        let lock = self.locks[self.lock_index(hash)].lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of the lock under which this key gets a cell.
    pub(super) fn lock_index(&self, hash: Hashed) -> usize {
        // The middle bits of the product: independent of the places and of the mark.
        (hash.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as usize % self.locks.len()
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

#[cfg(all(test, not(loom)))]
mod tests;
