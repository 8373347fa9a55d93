//! The exact policy: Redis makes every decision.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use plimsoll_core::{
    Key, Outcome, Policy, Rejection,
    policy::{Announcement, Interests, Verdict},
};
use plimsoll_rate_limit::{One, RequestCost};
use tokio::time::Instant;

use crate::{
    AllRequests, RedisHandle, RedisPermit, RedisWait,
    engine::Engine,
    job::Recipient,
    permit::Held,
    reader::{Demand, Reader},
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
#[doc(alias("distributed rate limit", "fleet", "throttle"))]
pub struct RedisRateLimit<K = AllRequests, C = One> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: Reader<K, C>,
}

impl RedisRateLimit {
    /// The name of this policy in its rejections.
    pub const NAME: &'static str = crate::NAME;
}

impl<K, C> RedisRateLimit<K, C> {
    /// Returns the handle: counters, changes of keys, and the breaker.
    pub fn handle(&self) -> RedisHandle {
        RedisHandle(Arc::clone(&self.engine))
    }
}

impl<Req, K: Key<Req>, C: RequestCost<Req>> Policy<Req> for RedisRateLimit<K, C> {
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
        self.engine.poll_wait(wait, now, cx).map_ok(RedisPermit)
    }

    fn abandon(&self, wait: Pin<&mut RedisWait>, now: Instant) {
        self.engine.abandon(wait, now);
    }

    fn finish(&self, permit: RedisPermit, outcome: &Outcome) {
        self.engine.finish(permit.0, outcome);
    }

    fn revoke(&self, permit: RedisPermit, admitted: Instant, now: Instant) {
        self.engine.revoke(permit.0, admitted, now);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(true)
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
