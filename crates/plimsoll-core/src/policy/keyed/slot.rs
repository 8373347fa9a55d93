//! A slot: one cell, whose it is, and who uses it.
//!
//! A slot has users (permits and waits) or it can be claimed, never both: one atomic decides. So a key that is in use keeps
//! its slot, and no request enters a slot that is being filled.

use crate::sync::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// `users` of a slot that is being given to another key.
const CLAIMED: u32 = u32::MAX;

/// A key's hash in the form in which its slot has it while the key is known: odd, so never that of
/// an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    /// Two bits tell the forms apart; the key's set stands for those of the hash.
    #[inline]
    pub(super) const fn new(hash: u64) -> Self {
        Self(hash | 0b11)
    }

    /// The hash in a slot that may be given to another key: of a key on probation, or of a known
    /// key that has not come since another key wanted the slot.
    fn open(self) -> u64 {
        self.0 ^ 0b01
    }
}

pub(super) struct Slot<P> {
    /// The key's hash in one of its two forms; 0 while the slot is empty.
    hash: AtomicU64,
    /// Permits and waits of this cell, or [`CLAIMED`]. A slot with users keeps its key.
    users: AtomicU32,
    /// Of an open slot: the second until which it is kept all the same, or 0 on probation.
    kept_until: AtomicU32,
    pub(super) cell: P,
}

impl<P> Slot<P> {
    pub(super) fn new(cell: P) -> Self {
        Self {
            hash: AtomicU64::new(0),
            users: AtomicU32::new(0),
            kept_until: AtomicU32::new(0),
            cell,
        }
    }

    /// One user less.
    #[inline]
    pub(super) fn leave(&self) {
        self.users.fetch_sub(1, AcqRel);
    }

    /// Becomes a user of this slot, if it still is this key's and the key is known.
    #[inline]
    pub(super) fn enter_known(&self, key: KeyHash) -> bool {
        self.hash.load(Relaxed) == key.0 && self.enter(key.0)
    }

    /// Becomes a user of this slot, if it is this key's and open.
    pub(super) fn enter_open(&self, key: KeyHash) -> bool {
        self.hash.load(Relaxed) == key.open() && self.enter(key.open())
    }

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
                // The slot cannot pass to another key any more.
                Ok(_) if self.hash.load(Relaxed) == hash => return true,
                Ok(_) => {
                    self.users.fetch_sub(1, Release);
                    return false;
                }
                Err(now) => users = now,
            }
        }
    }

    #[cfg(all(test, loom))]
    pub(super) fn is_of(&self, key: KeyHash) -> bool {
        let hash = self.hash.load(Relaxed);
        hash == key.0 || hash == key.open()
    }

    /// Whether it has no users.
    pub(super) fn is_idle(&self) -> bool {
        self.users.load(Relaxed) == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hash.load(Relaxed) == 0
    }

    /// The second until which the slot is kept for its key, or `None` while it is not open.
    pub(super) fn kept_until(&self) -> Option<u32> {
        let is_open = self.hash.load(Relaxed) & 0b11 == 0b10;
        is_open.then(|| self.kept_until.load(Relaxed))
    }

    /// Makes the key known. The caller is a user and holds the set's lock.
    pub(super) fn promote(&self, key: KeyHash) {
        self.hash.store(key.0, Relaxed);
    }

    /// Opens the slot of a known key that has not been seen for a while, to be given away after
    /// this second unless the key comes before. The caller holds the set's lock.
    pub(super) fn open(&self, until: u32) {
        let key = KeyHash(self.hash.load(Relaxed));
        self.kept_until.store(until, Relaxed);
        self.hash.store(key.open(), Relaxed);
    }

    /// Keeps everybody out. `false` while the slot has users.
    pub(super) fn claim(&self) -> bool {
        self.users
            .compare_exchange(0, CLAIMED, AcqRel, Relaxed)
            .is_ok()
    }

    /// Leaves the slot that was claimed to its key.
    pub(super) fn unclaim(&self) {
        self.users.store(0, Release);
    }

    /// Gives the slot that was claimed to a new key, with one user.
    pub(super) fn give(&self, key: KeyHash) {
        self.kept_until.store(0, Relaxed);
        self.hash.store(key.open(), Relaxed);
        self.users.store(1, Release);
    }
}
