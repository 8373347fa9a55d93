//! The exact policy: Redis makes every decision.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use plimsoll_core::{Announcement, Key, Missing, Outcome, Policy, Rejection, Verdict};
use plimsoll_rate_limit::{One, Weigh};
use tokio::time::Instant;

use crate::{
    Everybody, RedisHandle, RedisPermit, RedisRateLimitBuilder, RedisServer, RedisWait,
    digest::{Digest, Digests},
    engine::Engine,
    job::Recipient,
    permit::Held,
};

/// One limit for all replicas, kept in Redis. Redis makes every decision, atomically and by its
/// clock.
///
/// # Shared state and cloning
///
/// The counters of keys are in Redis, under the prefix. All limits with the same prefix, names and
/// quotas share them, in any process. This value holds the connections and the local limits for
/// when Redis is down; the layer shares it among its services. Dropping it ends its tasks and
/// closes its connections.
///
/// # Cancellation
///
/// An admitted request has spent its tokens, however it ends. The tokens of a request that is
/// cancelled while it waits, or rejected by a later policy, are refunded in Redis: the bucket is
/// then as if they had never been taken. Refunds are best effort and never block
/// ([`RedisHandle::refunds_dropped`]).
///
/// # Cost
///
/// A decision allocates the channel for the answer, the command and the reply. No lock is held over
/// an await.
pub struct RedisRateLimit<K = Everybody, C = One> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: Reader<K, C>,
}

/// Reads key and cost of a request.
pub(crate) struct Reader<K, C> {
    pub(crate) key: K,
    pub(crate) missing: Missing,
    pub(crate) cost: C,
    pub(crate) digests: Digests,
}

/// What a request needs.
pub(crate) enum Demand {
    /// This many tokens of this key.
    Tokens(Digest, u32),
    /// No tokens: the request has no key, or no cost.
    None,
}

impl<K, C> Reader<K, C> {
    pub(crate) fn read<Req>(&self, req: &Req, engine: &Engine) -> Result<Demand, Rejection>
    where
        K: Key<Req>,
        C: Weigh<Req>,
    {
        let Some(cost) = self.cost(req, engine)? else {
            return Ok(Demand::None);
        };
        let key = self.key.key(req);
        if key.is_none() {
            engine.counts.missing.note(&self.key, req, self.missing);
            match self.missing {
                Missing::Admit => return Ok(Demand::None),
                Missing::Refuse(kind) => return Err(Rejection::new("missing-key", kind)),
                Missing::Share => {}
            }
        }
        Ok(Demand::Tokens(self.digests.of(key), cost))
    }

    /// The cost of the request; `None` for 0.
    #[inline]
    pub(crate) fn cost<Req>(&self, req: &Req, engine: &Engine) -> Result<Option<u32>, Rejection>
    where
        C: Weigh<Req>,
    {
        match self.cost.weigh(req) {
            0 => Ok(None),
            cost if cost > engine.largest => Err(engine.too_large()),
            cost => Ok(Some(cost)),
        }
    }
}

impl RedisRateLimit {
    /// The name of this policy in its rejections.
    pub const NAME: &'static str = crate::NAME;

    /// Returns the builder of a limit in this Redis. At least one quota is required.
    pub fn builder(server: RedisServer) -> RedisRateLimitBuilder {
        RedisRateLimitBuilder::new(server)
    }
}

impl<K, C> RedisRateLimit<K, C> {
    /// Returns the handle: counters, changes of keys, and the breaker.
    pub fn handle(&self) -> RedisHandle {
        RedisHandle(Arc::clone(&self.engine))
    }
}

impl<Req, K: Key<Req>, C: Weigh<Req>> Policy<Req> for RedisRateLimit<K, C> {
    type Permit = RedisPermit;
    type Wait = RedisWait;

    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<RedisPermit, RedisWait> {
        let (digest, cost) = match self.reader.read(req, &self.engine) {
            Ok(Demand::Tokens(digest, cost)) => (digest, cost),
            Ok(Demand::None) => return Verdict::Admit(RedisPermit(Held::Nothing)),
            Err(rejection) => return Verdict::Reject(rejection),
        };
        let engine = &self.engine;
        match engine.request(digest, (cost, cost), Recipient::Request, now) {
            Verdict::Admit(held) => Verdict::Admit(RedisPermit(held)),
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
            Verdict::Wait(wait) => Verdict::Wait(wait),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut RedisWait>,
        _: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RedisPermit, Rejection>> {
        wait.poll(&self.engine, now, cx).map_ok(RedisPermit)
    }

    fn abandon(&self, wait: Pin<&mut RedisWait>, now: Instant) {
        wait.abandon(&self.engine, now);
    }

    fn finish(&self, permit: RedisPermit, outcome: &Outcome) {
        self.engine.finish(permit.0, outcome);
    }

    fn revoke(&self, permit: RedisPermit, admitted: Instant, now: Instant) {
        self.engine.revoke(permit.0, admitted, now);
    }

    fn reads_latency(&self) -> bool {
        false
    }

    fn announce(&self, permit: &RedisPermit, _: Instant, out: &mut Announcement<'_>) {
        if let Held::Redis(taken) = &permit.0 {
            self.engine.announce(&taken.left, out);
        }
    }
}

impl<K, C> fmt::Debug for RedisRateLimit<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimit")
            .field("handle", &self.handle())
            .finish_non_exhaustive()
    }
}
