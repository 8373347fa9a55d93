//! The local limits that decide while Redis is down, each with this replica's share of the quota.

use plimsoll_core::{Kind, Missing, Outcome, Policy, Rejection, policy::Verdict};
use plimsoll_rate_limit::{CalendarUnit, KeyedRateLimit, KeyedRateLimitPermit, Quota, RateLimit};
use tokio::time::Instant;

use crate::{
    InvalidRedisRateLimit, MAX_QUOTAS, NAME,
    digest::Digest,
    quotas::{Algorithm, Shared},
};

/// A request to the local limits.
struct Request {
    digest: Digest,
    cost: u32,
}

type Share = KeyedRateLimit<fn(&Request) -> Option<Digest>, 1, fn(&Request) -> u32>;

/// One keyed limit per quota.
pub(crate) struct Local(Box<[Share]>);

/// The tokens taken of each quota.
pub(crate) type LocalPermit = [Option<KeyedRateLimitPermit>; MAX_QUOTAS];

impl Local {
    pub(crate) fn new(
        quotas: &[Shared],
        replicas: u32,
        capacity: usize,
    ) -> Result<Self, InvalidRedisRateLimit> {
        let shares = quotas.iter().map(|shared| {
            let digest: fn(&Request) -> Option<Digest> = |request| Some(request.digest);
            let cost: fn(&Request) -> u32 = |request| request.cost;
            let limit = RateLimit::new(share(shared, replicas))?.cost(cost);
            Ok(limit.per_key(digest, Missing::Share, capacity)?)
        });
        shares.collect::<Result<_, _>>().map(Self)
    }

    /// Takes from all quotas, or from none.
    pub(crate) fn admit(
        &self,
        digest: Digest,
        cost: u32,
        now: Instant,
    ) -> Result<LocalPermit, Rejection> {
        let mut permit = LocalPermit::default();
        for (share, token) in self.0.iter().zip(&mut permit) {
            match share.admit(&mut Request { digest, cost }, now) {
                Verdict::Admit(taken) => *token = Some(taken),
                Verdict::Reject(rejection) => {
                    self.revoke(permit, now, now);
                    let ours = Rejection::new(NAME, Kind::OverQuota);
                    return Err(match rejection.retry_after() {
                        Some(wait) => ours.with_retry_after(wait),
                        None => ours,
                    });
                }
                Verdict::Wait(never) => match never {},
            }
        }
        Ok(permit)
    }

    pub(crate) fn finish(&self, permit: LocalPermit, outcome: &Outcome) {
        for (share, token) in self.0.iter().zip(permit) {
            if let Some(token) = token {
                Policy::<Request>::finish(share, token, outcome);
            }
        }
    }

    pub(crate) fn revoke(&self, permit: LocalPermit, admitted: Instant, now: Instant) {
        for (share, token) in self.0.iter().zip(permit) {
            if let Some(token) = token {
                Policy::<Request>::revoke(share, token, admitted, now);
            }
        }
    }
}

/// One replica's share of a quota: at least one request at a time.
fn share(shared: &Shared, replicas: u32) -> Quota {
    let (quota, size) = (shared.quota, (shared.size / replicas).max(1));
    let (count, period) = (quota.count(), quota.period());
    let part = (count / replicas).max(1);
    match shared.algorithm {
        Algorithm::FixedWindow => {
            let minutes = quota.offset_minutes();
            match quota.calendar_unit() {
                Some(CalendarUnit::Hour) => {
                    Quota::per_calendar_hour(part).utc_offset_minutes(minutes)
                }
                Some(CalendarUnit::Day) => {
                    Quota::per_calendar_day(part).utc_offset_minutes(minutes)
                }
                Some(CalendarUnit::Week) => {
                    Quota::per_calendar_week(part).utc_offset_minutes(minutes)
                }
                // A unit of a later version: a window of the same length, from the first decision
                // on.
                Some(_) | None => Quota::new(part, period).fixed_window(),
            }
        }
        Algorithm::SlidingWindow => Quota::new(part, period).sliding_window(),
        // A longer period divides exactly. If it would exceed the maximum, the count is divided.
        Algorithm::Gcra => match period.saturating_mul(replicas) {
            longer if longer <= Quota::MAX_PERIOD => Quota::new(count, longer).burst(size),
            _ => Quota::new(part, period).burst(size),
        },
    }
}
