//! Hashes that stand for keys.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hash},
};

/// The hash of a key: 128 bits from two hash functions with random secrets.
///
/// Equal hashes are taken for equal keys. Among 2^20 keys two hashes are equal with a probability
/// of 2^-89, and no caller can find such keys without the secrets. So no code of the caller, such as
/// `Eq`, runs while the queue is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(u64, u64);

/// Makes the hashes of one queue.
#[derive(Debug, Default)]
pub(crate) struct Secrets(RandomState, RandomState);

impl Secrets {
    pub(crate) fn hash(&self, key: &impl Hash) -> KeyHash {
        KeyHash(self.0.hash_one(key), self.1.hash_one(key))
    }
}
