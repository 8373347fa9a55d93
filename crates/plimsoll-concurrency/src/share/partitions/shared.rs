//! The limit and the counts that the partitions share.

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use super::partition::Partition;
use crate::ConcurrencyLimitHandle;

/// What all services of the policy share.
pub(super) struct Shared<K> {
    pub(super) limit: ConcurrencyLimitHandle,
    pub(super) epoch: Epoch,
    pub(super) names: Box<[K]>,
    /// One for each name, and the rest.
    pub(super) partitions: Box<[Partition]>,
}

impl<K: PartialEq> Shared<K> {
    #[inline]
    pub(super) fn index(&self, name: Option<K>) -> usize {
        let named = name.and_then(|name| self.names.iter().position(|other| *other == name));
        named.unwrap_or(self.names.len())
    }
}

impl<K> Shared<K> {
    /// Reclaims slots of unread responses, in the limit and in this partition, one of which is
    /// full. Returns whether the partition has room.
    pub(super) fn reclaim(&self, partition: &Partition, now: Instant) -> bool {
        self.limit.reclaim(now);
        partition.reclaim(self.epoch.nanos(now), self.limit.max_stall_nanos())
    }

    /// Whether a slot is free that is not reserved for another partition.
    pub(super) fn can_lend(&self, borrower: usize, limit: usize, now: Instant) -> bool {
        let inside = self.limit.in_flight() + self.limit.queued();
        if inside >= limit {
            return false;
        }
        let now = self.epoch.nanos(now);
        let others = self.partitions.iter().enumerate();
        let reserved: usize = others
            .filter(|&(at, _)| at != borrower)
            .map(|(_, partition)| partition.reserved(now, limit) as usize)
            .sum();
        inside + reserved < limit
    }
}
