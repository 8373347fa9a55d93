//! Reads partitions at run time.

use std::{fmt, sync::Arc};

use super::shared::Shared;

/// Reads the [`Partitions`](super::Partitions) of a limit at run time; clones share them.
pub struct PartitionsHandle<K>(pub(super) Arc<Shared<K>>);

/// The state of one partition at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionFigures<K> {
    /// The partition's name; `None` is the rest.
    pub name: Option<K>,
    /// How many requests are admitted even when others use all of the limit.
    pub guarantee: usize,
    /// Requests in flight, or in the limit's queue.
    pub in_flight: usize,
    /// Requests above the guarantee that were rejected because no slot was idle.
    pub rejected: u64,
}

impl<K: Copy> PartitionsHandle<K> {
    /// Returns all partitions in the order in which they were given, the rest last.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionFigures<K>> + '_ {
        let limit = self.0.limit.limit();
        let names = self.0.names.iter().copied().map(Some);
        names
            .chain([None])
            .zip(&self.0.partitions)
            .map(move |(name, partition)| PartitionFigures {
                name,
                guarantee: partition.guarantee(limit) as usize,
                in_flight: partition.inside() as usize,
                rejected: partition.rejected.get(),
            })
    }
}

impl<K> Clone for PartitionsHandle<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Copy + fmt::Debug> fmt::Debug for PartitionsHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.partitions()).finish()
    }
}
