//! Counters of a queue.

use super::{error::SendError, policy::QueuePolicy, reason::DropReason};

/// Counts of one queue since it was made, all read at the same moment.
///
/// At each moment `sent = received + dropped + expired + queued`, where
/// [`dropped`](Self::dropped) includes replaced items, and `queued` is the length of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// These two are filled in for a snapshot: they follow from the numbers of the ring.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Rows by policy, columns by reason. Allocated at the first loss.
    pub(super) lost: Option<Box<[[u64; DropReason::COUNT]; QueuePolicy::COUNT]>>,
    pub(super) full: u64,
    pub(super) timed_out: u64,
    pub(super) too_large: u64,
    pub(super) closed: u64,
}

impl Counters {
    /// Items that the queue took charge of: every `Ok` of a send.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Items that consumers received or drained.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Items that were dropped, evicted or replaced, for all reasons but their age.
    pub fn dropped(&self) -> u64 {
        let lost = self
            .lost()
            .filter(|(_, reason, _)| *reason != DropReason::Expired);
        lost.map(|(_, _, count)| count).sum()
    }

    /// Items that were older than the TTL.
    pub fn expired(&self) -> u64 {
        let lost = self
            .lost()
            .filter(|(_, reason, _)| *reason == DropReason::Expired);
        lost.map(|(_, _, count)| count).sum()
    }

    /// Lost items by the name of the policy in force and by reason, without zeros.
    pub fn lost(&self) -> impl Iterator<Item = (&'static str, DropReason, u64)> {
        let rows = QueuePolicy::NAMES
            .into_iter()
            .zip(self.lost.iter().flat_map(|rows| rows.iter()));
        rows.flat_map(|(policy, row)| {
            let columns = DropReason::ALL.into_iter().zip(row);
            columns
                .filter(|(_, count)| **count > 0)
                .map(move |(reason, count)| (policy, reason, *count))
        })
    }

    /// Calls of `try_send` that failed because the queue was full.
    pub const fn full(&self) -> u64 {
        self.full
    }

    /// Sends that failed because the queue stayed full for the timeout.
    pub const fn timed_out(&self) -> u64 {
        self.timed_out
    }

    /// Sends that failed because the item alone exceeded the bound in bytes.
    pub const fn too_large(&self) -> u64 {
        self.too_large
    }

    /// Sends that failed because the queue was closed.
    pub const fn closed(&self) -> u64 {
        self.closed
    }

    /// Counts a send that failed.
    #[cold]
    pub(super) fn fail<T>(&mut self, error: &SendError<T>) {
        match error {
            SendError::Closed(_) => self.closed += 1,
            SendError::Full(_) => self.full += 1,
            SendError::Timeout { .. } => self.timed_out += 1,
            SendError::TooLarge { .. } => self.too_large += 1,
        }
    }

    #[inline]
    pub(super) fn lose(&mut self, policy: QueuePolicy, reason: DropReason, items: u64) {
        let rows = self.lost.get_or_insert_with(Box::default);
        if let Some(count) = rows[policy.index()].get_mut(reason.index()) {
            *count += items;
        }
    }
}
