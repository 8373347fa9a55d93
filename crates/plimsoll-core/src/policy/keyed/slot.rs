//! A slot: one cell, its key, and its users.
//!
//! A slot either has users (permits and waits) or is claimed, never both: one atomic decides. So a
//! key in use keeps its slot, and no request enters a slot while it is given away.

use crate::sync::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Value of `users` while the slot is given to another key.
const CLAIMED: u32 = u32::MAX;

/// A key's hash as stored while the key is known: odd, so it differs from an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    /// Two bits mark the form. The set index stands for these bits of the hash.
    #[inline]
    pub(super) const fn new(hash: u64) -> Self {
        Self(hash | 0b11)
    }

    /// The hash as stored while the slot may be given to another key.
    ///
    /// The key is on probation, or is known and has had no request since another key needed the
    /// slot.
    fn open(self) -> u64 {
        self.0 ^ 0b01
    }
}

pub(super) struct Slot<P> {
    /// The key's hash in one of its two forms; 0 while the slot is empty.
    hash: AtomicU64,
    /// Permits and waits of this cell, or [`CLAIMED`]. A slot with users keeps its key.
    users: AtomicU32,
    /// For an open slot: the second until which it is kept for its key, or 0 on probation.
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

    /// Removes a user.
    #[inline]
    pub(super) fn leave(&self) {
        self.users.fetch_sub(1, AcqRel);
    }

    /// Adds a user, if the slot belongs to this key and the key is known.
    #[inline]
    pub(super) fn enter_known(&self, key: KeyHash) -> bool {
        self.hash.load(Relaxed) == key.0 && self.enter(key.0)
    }

    /// Adds a user, if the slot belongs to this key and is open.
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
                // From here on the slot cannot be given to another key.
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

    /// Returns whether the slot has no users.
    pub(super) fn is_idle(&self) -> bool {
        self.users.load(Relaxed) == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hash.load(Relaxed) == 0
    }

    /// Returns the second until which the slot is kept for its key, or `None` while it is not open.
    pub(super) fn kept_until(&self) -> Option<u32> {
        let is_open = self.hash.load(Relaxed) & 0b11 == 0b10;
        is_open.then(|| self.kept_until.load(Relaxed))
    }

    /// Makes the key known. The caller is a user and holds the set's lock.
    pub(super) fn promote(&self, key: KeyHash) {
        self.hash.store(key.0, Relaxed);
    }

    /// Opens the slot of a known key. It may be given away after the second `until`, unless the key
    /// comes before. The caller holds the set's lock.
    pub(super) fn open(&self, until: u32) {
        let key = KeyHash(self.hash.load(Relaxed));
        self.kept_until.store(until, Relaxed);
        self.hash.store(key.open(), Relaxed);
    }

    /// Claims the slot, so that no user can enter. `false` while the slot has users.
    pub(super) fn claim(&self) -> bool {
        self.users
            .compare_exchange(0, CLAIMED, AcqRel, Relaxed)
            .is_ok()
    }

    /// Releases a claim; the slot keeps its key.
    pub(super) fn unclaim(&self) {
        self.users.store(0, Release);
    }

    /// Gives the claimed slot to a new key, with one user.
    pub(super) fn give(&self, key: KeyHash) {
        self.kept_until.store(0, Relaxed);
        self.hash.store(key.open(), Relaxed);
        self.users.store(1, Release);
    }
}
