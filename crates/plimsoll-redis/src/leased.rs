//! The policy that takes tokens in advance.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use plimsoll_core::{
    Key, Keyed, KeyedHandle, Outcome, Policy, Rejection,
    policy::{Announcement, Interests, KeyedPermit, KeyedWait, Verdict},
};
use plimsoll_rate_limit::{One, RequestCost};
use tokio::time::Instant;

use crate::{
    AllRequests, InvalidRedisRateLimit, LeaseCell, LeasePermit, RedisHandle, RedisWait,
    engine::Engine, lease::LeaseTerms, lease_cell::LeaseFactory, reader::Reader,
};

/// One limit for all replicas. Each takes tokens in batches, so most decisions need no round trip.
///
/// # Precision
///
/// Tokens may be spent later than they were taken. So in any time, and for any key, requests are
/// admitted up to the quota and
///
/// ```text
/// overshoot ≤ replicas × (batch + low_water)
/// ```
///
/// more: the tokens that all replicas together held at the start
/// ([`LeaseSettings::most`](crate::LeaseSettings::most)). Over a long time the rate is the quota's,
/// since every token was taken from it. In the other direction, tokens held by one replica are not
/// available to another: up to `(replicas - 1) × (batch + low_water)` requests may be rejected that
/// an exact limit would admit, and tokens that are not spent within the lifetime are lost.
///
/// The bound also holds through a failover of Redis, plus what the old master granted and had not
/// yet replicated; see the [crate](crate#what-a-failover-can-lose).
///
/// # How it decides
///
/// A request takes its tokens from its key's lease, in one compare-and-swap. The request that
/// reaches the low-water mark starts fetching the next batch and continues. A request that finds
/// too few tokens asks Redis: the first one for a batch, others meanwhile for their own cost. When
/// Redis rejects a single token, it gives the wait, and until then the key is rejected locally (a
/// token that is refunded earlier has no effect).
///
/// Leases are kept for a bounded number of keys, as in [`Keyed`]. A key without a lease asks Redis
/// for each request.
///
/// # Cancellation
///
/// As for [`RedisRateLimit`](crate::RedisRateLimit). Tokens from a lease are refunded to it. Tokens
/// that exceed its size, or are older than its lifetime, are refunded in Redis.
#[doc(alias("distributed rate limit", "fleet"))]
pub struct LeasedRateLimit<K = AllRequests, C = One> {
    engine: Arc<Engine>,
    keyed: Keyed<KeyOf<K, C>, LeaseCell<K, C>>,
}

/// Reads the key of a lease.
pub(crate) struct KeyOf<K, C>(Arc<Reader<K, C>>);

impl<Req, K: Key<Req>, C: Send + Sync> Key<Req> for KeyOf<K, C> {
    type Key<'a>
        = K::Key<'a>
    where
        K: 'a,
        C: 'a,
        Req: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Req) -> Option<K::Key<'a>> {
        self.0.key.key(req)
    }

    fn cure(&self, req: &Req) -> &'static str {
        self.0.key.cure(req)
    }
}

impl<K: Send + Sync + 'static, C: Send + Sync + 'static> LeasedRateLimit<K, C> {
    pub(crate) fn new(
        engine: Arc<Engine>,
        reader: Reader<K, C>,
        terms: LeaseTerms,
        capacity: usize,
    ) -> Result<Self, InvalidRedisRateLimit> {
        let missing = reader.missing;
        let (reader, terms) = (Arc::new(reader), Arc::new(terms));
        let cell = LeaseFactory {
            engine: Arc::clone(&engine),
            reader: Arc::clone(&reader),
            terms,
        };
        let keyed = Keyed::new(KeyOf(reader), missing, capacity, move || cell.make())?;
        Ok(Self { engine, keyed })
    }

    /// Returns the handle: counters, changes of keys, and the breaker.
    pub fn handle(&self) -> RedisHandle {
        RedisHandle(Arc::clone(&self.engine))
    }

    /// Returns the table of leases: how many keys have one, and how many found no room.
    pub fn leases(&self) -> KeyedHandle<LeaseCell<K, C>> {
        self.keyed.handle()
    }
}

impl<Req, K: Key<Req>, C: RequestCost<Req>> Policy<Req> for LeasedRateLimit<K, C> {
    type Permit = KeyedPermit<LeasePermit>;
    type Wait = KeyedWait<RedisWait>;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        self.keyed.admit(req, now)
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        self.keyed.poll_wait(wait, req, now, cx)
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        Policy::<Req>::abandon(&self.keyed, wait, now);
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        Policy::<Req>::finish(&self.keyed, permit, outcome);
    }

    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        Policy::<Req>::revoke(&self.keyed, permit, admitted, now);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(true)
    }

    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        Policy::<Req>::announce(&self.keyed, permit, admitted, out);
    }
}

impl<K, C> fmt::Debug for LeasedRateLimit<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedRateLimit")
            .field("handle", &RedisHandle(Arc::clone(&self.engine)))
            .finish_non_exhaustive()
    }
}
