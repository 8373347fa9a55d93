//! Shares of one limit that are guaranteed, and lent while they are idle.

mod handle;
mod partition;

use std::{convert::Infallible, fmt, sync::Arc};

use plimsoll_core::{Epoch, Kind, Outcome, Policy, Rejection, Verdict, WaitsOn};
use tokio::time::Instant;

pub use self::handle::{PartitionFigures, PartitionsHandle};
use self::partition::Partition;
use crate::{ConcurrencyLimitHandle, limit::stalls::Stamp};

/// The policy's name in rejections.
const NAME: &str = "partition";
const MAX_PARTITIONS: usize = 64;

/// Partitions cannot be made of these.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPartitions {
    /// Nothing to divide, or too finely.
    #[error("partitions are {0}, but must be 1 to 64")]
    Count(usize),
    /// Not a share.
    #[error("share is {0}, but must be 0 to 1")]
    Share(f64),
    /// More than there is.
    #[error("shares add up to {0}, but must not be more than 1")]
    Sum(f64),
    /// Two partitions of one name.
    #[error("name of partition {0} (from 0) is taken, but must be its own")]
    Name(usize),
}

/// Named shares of one [`ConcurrencyLimit`](crate::ConcurrencyLimit) limit, guaranteed to those who are in them, and lent while they are idle.
///
/// In front of the limit in the same gate: `(partitions, limit)`. A share is a part of the limit, whatever that is now, rounded up. What
/// is in no named partition is in the rest, which has what the shares leave. A share of 0 guarantees nothing: it lives on what is idle.
///
/// # Who gets in
///
/// - A request below its partition's guarantee is let by, and finds a slot or waits in the limit's queue.
/// - One above gets in while there are free slots that nobody is owed, and is refused with [`Kind::Full`] otherwise. It does not wait:
///   the queue is for those below their guarantee, so that the first slot given back is theirs.
/// - Where the limit has no queue, or it is full, a request below its guarantee is refused by the limit; then a slot is owed to its partition,
///   and for 100 milliseconds nobody borrows it.
///
/// So nobody is let in above the limit, and no partition waits for another longer than until the next slot is given back. (Netflix'
/// concurrency-limits, whose idea this is, lets those below their guarantee in above the limit, up to twice it.) Where rounding up makes the
/// guarantees more than the limit, the last of them may wait for one another.
///
/// # Cost
///
/// A compare-and-swap below the guarantee; above it a look at each partition, too. No lock, no allocation.
///
/// ```
/// use plimsoll_concurrency::{ConcurrencyLimit, Partitions};
/// use plimsoll_core::GateLayer;
///
/// #[derive(Clone, Copy, PartialEq, Debug)]
/// enum Kind { Live, Batch }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = ConcurrencyLimit::new(100)?;
/// let partitions = Partitions::new(
///     limit.handle(),
///     [(Kind::Live, 0.7), (Kind::Batch, 0.1)],
///     |req: &http::Request<String>| match req.uri().path() {
///         "/batch" => Some(Kind::Batch),
///         "/health" => None, // the rest: 0.2
///         _ => Some(Kind::Live),
///     },
/// )?;
/// let handle = partitions.handle();
/// let guarantees: Vec<_> = handle.partitions().map(|of| of.guarantee).collect();
/// assert_eq!(guarantees, [70, 10, 20]);
/// let layer = GateLayer::new((partitions, limit));
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
pub struct Partitions<K, F> {
    shared: Arc<Shared<K>>,
    read: F,
}

struct Shared<K> {
    limit: ConcurrencyLimitHandle,
    epoch: Epoch,
    names: Box<[K]>,
    /// One for each name, and the rest.
    partitions: Box<[Partition]>,
}

/// A request of a partition, counted. Plain data: the gate sees to it that it is given back.
#[derive(Debug)]
pub struct PartitionsPermit {
    partition: u16,
    lent: bool,
    took_owed: bool,
    stamp: Stamp,
}

impl<K: Copy + PartialEq, F> Partitions<K, F> {
    /// Divides the limit of this handle into shares of 0 to 1 with names, which `read` tells from a request. `None`, and a name
    /// that is not among them, is the rest.
    ///
    /// # Errors
    ///
    /// When there are none or more than 64, two have one name, a share is below 0 or above 1, or all together are above 1.
    pub fn new(
        limit: ConcurrencyLimitHandle,
        shares: impl IntoIterator<Item = (K, f64)>,
        read: F,
    ) -> Result<Self, InvalidPartitions> {
        let (names, shares): (Vec<K>, Vec<f64>) = shares.into_iter().unzip();
        if names.is_empty() || names.len() > MAX_PARTITIONS {
            return Err(InvalidPartitions::Count(names.len()));
        }
        if let Some(twin) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
            return Err(InvalidPartitions::Name(twin));
        }
        if let Some(&share) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            return Err(InvalidPartitions::Share(share));
        }
        let sum: f64 = shares.iter().sum();
        if sum > 1.0 + 1e-9 {
            return Err(InvalidPartitions::Sum(sum));
        }
        let rest = (1.0 - sum).max(0.0);
        let partitions = shares.into_iter().chain([rest]).map(Partition::new);
        Ok(Self {
            shared: Arc::new(Shared {
                limit,
                epoch: Epoch::new(),
                names: names.into(),
                partitions: partitions.collect(),
            }),
            read,
        })
    }

    /// Shows guarantees, requests in flight and refusals.
    pub fn handle(&self) -> PartitionsHandle<K> {
        PartitionsHandle(Arc::clone(&self.shared))
    }
}

impl<K: PartialEq> Shared<K> {
    #[inline]
    fn index(&self, name: Option<K>) -> usize {
        let named = name.and_then(|name| self.names.iter().position(|other| *other == name));
        named.unwrap_or(self.names.len())
    }
}

impl<K> Shared<K> {
    /// Reclaims what stopped readers hold, in the limit and in this partition, one of which is
    /// full. Returns whether the partition has room.
    fn reclaim(&self, partition: &Partition, now: Instant) -> bool {
        self.limit.reclaim(now);
        partition.reclaim(self.epoch.nanos(now), self.limit.max_stall_nanos())
    }

    /// A slot is free that nobody is owed.
    fn lends(&self, borrower: usize, limit: usize, now: Instant) -> bool {
        let inside = self.limit.in_flight() + self.limit.queued();
        if inside >= limit {
            return false;
        }
        let now = self.epoch.nanos(now);
        let others = self.partitions.iter().enumerate();
        let owed: usize = others
            .filter(|&(at, _)| at != borrower)
            .map(|(_, partition)| partition.owed(now, limit) as usize)
            .sum();
        inside + owed < limit
    }
}

impl<Req, K, F> Policy<Req> for Partitions<K, F>
where
    K: Copy + PartialEq + Send + Sync,
    F: Fn(&Req) -> Option<K> + Send + Sync,
{
    type Permit = PartitionsPermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<PartitionsPermit, Infallible> {
        let at = self.shared.index((self.read)(req));
        let partition = &self.shared.partitions[at];
        let limit = self.shared.limit.limit();
        let mut permit = PartitionsPermit {
            partition: at as u16,
            lent: false,
            took_owed: false,
            stamp: Stamp::NONE,
        };
        let guarantee = partition.guarantee(limit);
        if partition.enter(guarantee)
            || self.shared.reclaim(partition, now) && partition.enter(guarantee)
        {
            permit.took_owed = partition.take_owed();
        } else if self.shared.lends(at, limit, now) && partition.enter(u32::MAX) {
            permit.lent = true;
        } else {
            partition.rejected.add();
            let hint = self.shared.limit.retry_after_at(now);
            return Verdict::Reject(Rejection::new(NAME, Kind::Full).with_retry_after(hint));
        }
        Verdict::Admit(permit)
    }

    #[inline]
    fn finish(&self, permit: PartitionsPermit, _: &Outcome) {
        self.shared.partitions[usize::from(permit.partition)].leave(permit.stamp);
    }

    fn revoke(&self, permit: PartitionsPermit, _: Instant, now: Instant) {
        let partition = &self.shared.partitions[usize::from(permit.partition)];
        partition.leave(permit.stamp);
        // Perhaps it was not the limit that refused, but a policy after it.
        if !permit.lent && self.shared.limit.in_flight() >= self.shared.limit.limit() {
            partition.turned_away(self.shared.epoch.nanos(now), permit.took_owed);
            self.shared.reclaim(partition, now);
        }
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }

    #[inline]
    fn watches_bodies(&self) -> bool {
        true
    }

    #[inline]
    fn body_waits(&self, permit: &mut PartitionsPermit, on: WaitsOn) {
        let partition = &self.shared.partitions[usize::from(permit.partition)];
        permit.stamp = partition.stalls.body_waits(permit.stamp, on);
    }
}

impl<K: Copy + PartialEq + fmt::Debug, F> fmt::Debug for Partitions<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions")
            .field("partitions", &self.handle())
            .finish_non_exhaustive()
    }
}
