//! What decides while Redis is away: the local limits, each with its share of the quota.

use plimsoll_core::{
    Keyed, KeyedHandle, KeyedPermit, Kind, Missing, Outcome, Policy, Rejection, Verdict,
};
use plimsoll_rate_limit::{Quota, RateLimit, RateLimitPermit};
use tokio::time::Instant;

use crate::{InvalidRedisRateLimit, MAX_QUOTAS, NAME, digest::Digest, quotas::Named};

type ByDigest = fn(&Digest) -> Option<Digest>;
type OfQuota = KeyedPermit<RateLimitPermit>;

/// A keyed limit per quota.
#[derive(Debug)]
pub(crate) struct Local(Box<[Share]>);

/// One replica's share of one quota.
#[derive(Debug)]
struct Share {
    limit: Keyed<ByDigest, RateLimit>,
    cells: KeyedHandle<RateLimit>,
    burst: u32,
}

/// The newest token of each quota.
pub(crate) type LocalPermit = [Option<OfQuota>; MAX_QUOTAS];

impl Local {
    pub(crate) fn new(
        quotas: &[Named],
        replicas: u32,
        capacity: usize,
    ) -> Result<Self, InvalidRedisRateLimit> {
        let shares = quotas.iter().map(|named| {
            let quota = named.quota;
            let burst = (named.size / replicas).max(1);
            let longer = quota.period().saturating_mul(replicas);
            // A longer period divides exactly; one that would be too long is left, and the count divided.
            let share = if longer <= Quota::MAX_PERIOD {
                Quota::new(quota.count(), longer)
            } else {
                Quota::new((quota.count() / replicas).max(1), quota.period())
            };
            let share = share.burst(burst);
            let by_digest: ByDigest = |digest| Some(*digest);
            let limit = RateLimit::new(share)?.per_key(by_digest, Missing::Share, capacity)?;
            Ok(Share {
                cells: limit.handle(),
                limit,
                burst,
            })
        });
        shares.collect::<Result<_, _>>().map(Self)
    }

    /// All quotas or none.
    pub(crate) fn admit(
        &self,
        mut digest: Digest,
        cost: u32,
        now: Instant,
    ) -> Result<LocalPermit, Rejection> {
        let mut permit = LocalPermit::default();
        for (share, slot) in self.0.iter().zip(&mut permit) {
            match share.take(&mut digest, cost, now) {
                Ok(token) => *slot = Some(token),
                Err(rejection) => {
                    self.revoke(permit, now, now);
                    return Err(rejection);
                }
            }
        }
        Ok(permit)
    }

    pub(crate) fn finish(&self, permit: LocalPermit, outcome: &Outcome) {
        for (share, token) in self.0.iter().zip(permit) {
            if let Some(token) = token {
                Policy::<Digest>::finish(&share.limit, token, outcome);
            }
        }
    }

    pub(crate) fn revoke(&self, permit: LocalPermit, admitted: Instant, now: Instant) {
        for (share, token) in self.0.iter().zip(permit) {
            if let Some(token) = token {
                Policy::<Digest>::revoke(&share.limit, token, admitted, now);
            }
        }
    }
}

impl Share {
    /// Takes so many tokens one by one; the newest can be given back.
    fn take(&self, digest: &mut Digest, cost: u32, now: Instant) -> Result<OfQuota, Rejection> {
        if cost > self.burst {
            return Err(Rejection::new(NAME, Kind::OverQuota));
        }
        if cost > 1 {
            let there = |cell: &RateLimit| cell.available(now);
            let tokens = self.cells.with_cell(*digest, there);
            if tokens.is_some_and(|tokens| tokens < cost.into()) {
                // The wait for one token: what the bucket can tell.
                return self.one(digest, now).and_then(|token| {
                    Policy::<Digest>::revoke(&self.limit, token, now, now);
                    Err(Rejection::new(NAME, Kind::OverQuota))
                });
            }
            for _ in 1..cost {
                let token = self.one(digest, now)?;
                let spent = Outcome::new(plimsoll_core::Class::Ignored, Default::default(), now);
                Policy::<Digest>::finish(&self.limit, token, &spent);
            }
        }
        self.one(digest, now)
    }

    fn one(&self, digest: &mut Digest, now: Instant) -> Result<OfQuota, Rejection> {
        match self.limit.admit(digest, now) {
            Verdict::Admit(token) => Ok(token),
            Verdict::Reject(rejection) => Err(match rejection.wait() {
                Some(wait) => Rejection::new(NAME, Kind::OverQuota).retry_after(wait),
                None => Rejection::new(NAME, Kind::OverQuota),
            }),
            // A rate limit decides at once.
            Verdict::Wait(_) => Err(Rejection::new(NAME, Kind::OverQuota)),
        }
    }
}
