//! The exact policy: every decision is Redis'.

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
    job::Asker,
    permit::Held,
};

/// One limit for all replicas, kept in Redis: every decision is made there, atomically and by its clock.
///
/// # Shared state and cloning
///
/// The counters of keys are in Redis, under the prefix: all limits with the same prefix, names and quotas share them, whatever
/// process they are in. This value holds the connections and the local limits for when Redis is away; the layer
/// shares it among its services. Dropping it ends its tasks and closes its connections.
///
/// # Cancellation
///
/// A request that is let in has spent its tokens, however it ends. One that is given up while it
/// waits, and one that a later policy rejects, releases them in Redis: the bucket is then as if
/// they had never been taken. This is best effort and never blocks
/// ([`RedisHandle::refunds_dropped`]).
///
/// # Cost
///
/// A decision allocates: the channel for the answer, the command, the reply. It takes no lock that is held over an await.
pub struct RedisRateLimit<K = Everybody, C = One> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: Reader<K, C>,
}

/// What is read from a request.
pub(crate) struct Reader<K, C> {
    pub(crate) key: K,
    pub(crate) missing: Missing,
    pub(crate) cost: C,
    pub(crate) digests: Digests,
}

/// What to ask for.
pub(crate) enum Wanted {
    /// So many, of this key.
    Ask(Digest, u32),
    /// Nothing: no key, or no cost.
    Nothing,
}

impl<K, C> Reader<K, C> {
    pub(crate) fn read<Req>(&self, req: &Req, engine: &Engine) -> Result<Wanted, Rejection>
    where
        K: Key<Req>,
        C: Weigh<Req>,
    {
        let Some(cost) = self.cost(req, engine)? else {
            return Ok(Wanted::Nothing);
        };
        let key = self.key.key(req);
        if key.is_none() {
            engine.counts.missing.note(&self.key, req, self.missing);
            match self.missing {
                Missing::Admit => return Ok(Wanted::Nothing),
                Missing::Refuse(kind) => return Err(Rejection::new("missing-key", kind)),
                Missing::Share => {}
            }
        }
        Ok(Wanted::Ask(self.digests.of(key), cost))
    }

    /// What the request costs, if anything.
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
    /// The name under which this policy refuses.
    pub const NAME: &'static str = crate::NAME;

    /// A limit in this Redis; it needs a quota at least.
    pub fn builder(server: RedisServer) -> RedisRateLimitBuilder {
        RedisRateLimitBuilder::new(server)
    }
}

impl<K, C> RedisRateLimit<K, C> {
    /// The counters, and the breaker.
    pub fn handle(&self) -> RedisHandle {
        RedisHandle(Arc::clone(&self.engine))
    }
}

impl<Req, K: Key<Req>, C: Weigh<Req>> Policy<Req> for RedisRateLimit<K, C> {
    type Permit = RedisPermit;
    type Wait = RedisWait;

    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<RedisPermit, RedisWait> {
        let (digest, cost) = match self.reader.read(req, &self.engine) {
            Ok(Wanted::Ask(digest, cost)) => (digest, cost),
            Ok(Wanted::Nothing) => return Verdict::Admit(RedisPermit(Held::Nothing)),
            Err(rejection) => return Verdict::Reject(rejection),
        };
        let engine = &self.engine;
        match engine.ask_for(digest, (cost, cost), Asker::Request, now) {
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
