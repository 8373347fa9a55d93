//! One bucket: a rate limit, and the turns of those that wait for it.

use std::{cell::Cell, convert::Infallible, time::Duration};

use plimsoll_core::{
    Instant, Kind, Outcome, Policy, Rejection,
    policy::{Interests, Verdict},
};
use plimsoll_rate_limit::{InvalidQuota, Quota, RateLimit, RateLimitHandle, RequestCost};

use super::line::Line;

/// Buckets of one item: events and bytes of its own throttle, and of the one around it.
pub(crate) const BUCKETS: usize = 4;

/// What an item takes from each bucket: the request of the rate limits.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) costs: [u32; BUCKETS],
    /// The bucket that was asked last: the one that has rejected.
    asked: Cell<usize>,
}

impl Ask {
    pub(crate) const fn new(costs: [u32; BUCKETS]) -> Self {
        let asked = Cell::new(BUCKETS);
        Self { costs, asked }
    }

    /// The bucket that was asked last, or [`BUCKETS`] for none.
    pub(crate) fn asked(&self) -> usize {
        self.asked.get()
    }
}

/// Reads the cost for the bucket of this index, and notes that the bucket was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CostOf(usize);

impl RequestCost<Ask> for CostOf {
    fn cost(&self, ask: &Ask) -> u32 {
        ask.asked.set(self.0);
        ask.costs.get(self.0).copied().unwrap_or(0)
    }
}

pub(crate) struct Bucket {
    pub(crate) limit: RateLimit<1, CostOf>,
    pub(crate) handle: RateLimitHandle,
    pub(crate) line: Line,
}

impl Bucket {
    pub(crate) fn new(quota: Quota, index: usize) -> Result<Self, InvalidQuota> {
        let limit = RateLimit::new(quota)?.cost(CostOf(index));
        Ok(Self {
            handle: limit.handle(),
            limit,
            line: Line::default(),
        })
    }

    pub(crate) fn quota(&self) -> Quota {
        self.handle.quota()
    }

    /// The time in which as many tokens are refilled.
    pub(crate) fn refill(&self, cost: u32) -> Duration {
        let quota = self.quota();
        let nanos = quota.period().as_nanos() * u128::from(cost) / u128::from(quota.count().max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Rejects everything: behind other policies, it shows whether they would admit.
///
/// What they have taken is revoked at once, so that nothing is spent.
#[derive(Debug)]
pub(crate) struct Stop;

impl Policy<Ask> for Stop {
    type Permit = ();
    plimsoll_core::decides_at_once!(Ask);

    fn admit(&self, ask: &mut Ask, _: Instant) -> Verdict<(), Infallible> {
        ask.asked.set(BUCKETS);
        Verdict::Reject(Rejection::new("throttle", Kind::Full))
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}
