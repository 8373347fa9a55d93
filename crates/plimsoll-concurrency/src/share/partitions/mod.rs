//! Guaranteed shares of one limit, which are lent while they are idle.

mod figures;
mod handle;
mod partition;
mod shared;

use std::{convert::Infallible, fmt, sync::Arc};

use plimsoll_core::{
    Kind, Outcome, Policy, Rejection,
    policy::{Epoch, Interests, Verdict, WaitsOn},
};
use tokio::time::Instant;

pub use self::handle::{PartitionFigures, PartitionsHandle};
use self::{partition::Partition, shared::Shared};
use crate::{ConcurrencyLimitHandle, limit::stalls::Stamp};

/// The policy's name in rejections.
const NAME: &str = "partition";
/// The most partitions: 64. Each request above its guarantee looks at all of them.
const MAX_PARTITIONS: usize = 64;

/// The partitions of a limit are invalid.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum InvalidPartitions {
    /// The number of partitions is 0 or too high.
    Count(usize),
    /// A share is not in 0 to 1.
    Share(f64),
    /// The shares add up to more than the limit.
    Sum(f64),
    /// Two partitions have the same name.
    Name(usize),
}

impl fmt::Display for InvalidPartitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(got) => write!(f, "partitions must be 1 to 64, got {got}"),
            Self::Share(got) => write!(f, "share must be in 0..=1, got {got}"),
            Self::Sum(got) => write!(f, "sum of shares must be at most 1, got {got}"),
            Self::Name(got) => write!(
                f,
                "names of partitions must be unique, partition {got} (from 0) repeats one"
            ),
        }
    }
}

impl std::error::Error for InvalidPartitions {}

/// Divides a [`ConcurrencyLimit`](crate::ConcurrencyLimit) into named partitions with guaranteed
/// shares.
///
/// Idle shares are lent. Put it in front of the limit in the same gate: `(partitions, limit)`. A
/// share is a part of the limit's current value, rounded up. Requests of no named partition are in
/// the rest, which has what the shares leave. A share of 0 guarantees nothing; such a partition
/// uses only idle slots.
///
/// # Which requests are admitted
///
/// - A request below its partition's guarantee is passed to the limit, where it takes a slot or
///   waits in the queue.
/// - A request above the guarantee is admitted while slots are free that are not reserved for
///   another partition, and otherwise rejected with [`Kind::Full`]. It is not queued: the queue is
///   for requests below their guarantee, so the first released slot goes to them.
/// - Where the limit has no queue, or the queue is full, the limit rejects a request below its
///   guarantee. A slot is then reserved for its partition, and not lent for 100 milliseconds.
///
/// So the limit is never exceeded, and no partition waits for another longer than until the next
/// slot is released. (Netflix's concurrency-limits, where the idea comes from, admits requests
/// below their guarantee above the limit, up to twice it.) Where rounding makes the guarantees add
/// up to more than the limit, the last requests below a guarantee may wait for each other.
///
/// # Cost
///
/// Below the guarantee one compare-and-swap; above it also a look at each partition. No lock and no
/// allocation.
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
#[doc(alias("bulkhead", "reserved capacity"))]
pub struct Partitions<K, F> {
    shared: Arc<Shared<K>>,
    read: F,
}

/// A counted request of a partition. Plain data: the gate releases it.
#[derive(Debug)]
pub struct PartitionsPermit {
    partition: u16,
    lent: bool,
    took_reserved: bool,
    stamp: Stamp,
}

impl<K: Copy + PartialEq, F> Partitions<K, F> {
    /// Divides the limit of this handle into named shares of 0 to 1.
    ///
    /// `read` returns the name for a request. `None`, and a name that is not among `shares`, stand
    /// for the rest.
    ///
    /// # Errors
    ///
    /// When there are no shares or more than 64, two have the same name, a share is below 0 or
    /// above 1, or their sum is above 1.
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

    /// Returns a handle that reads guarantees, requests in flight and rejections.
    pub fn handle(&self) -> PartitionsHandle<K> {
        PartitionsHandle(Arc::clone(&self.shared))
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
            took_reserved: false,
            stamp: Stamp::NONE,
        };
        let guarantee = partition.guarantee(limit);
        if partition.acquire(guarantee)
            || self.shared.reclaim(partition, now) && partition.acquire(guarantee)
        {
            permit.took_reserved = partition.take_reserved();
        } else if self.shared.can_lend(at, limit, now) && partition.acquire(u32::MAX) {
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
        self.shared.partitions[usize::from(permit.partition)].release(permit.stamp);
    }

    fn revoke(&self, permit: PartitionsPermit, _: Instant, now: Instant) {
        let partition = &self.shared.partitions[usize::from(permit.partition)];
        partition.release(permit.stamp);
        // The request may have been rejected by another policy than the limit.
        if !permit.lent && self.shared.limit.in_flight() >= self.shared.limit.limit() {
            partition.rejected_below_guarantee(self.shared.epoch.nanos(now), permit.took_reserved);
            self.shared.reclaim(partition, now);
        }
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_body_waits(true)
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
