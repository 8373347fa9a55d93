//! The policy that takes tokens in advance.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{
    Announcement, Cell, Key, Keyed, KeyedHandle, KeyedPermit, KeyedWait, Outcome, Policy,
    Rejection, Verdict,
};
use plimsoll_rate_limit::{One, Weigh};
use tokio::time::Instant;

use crate::{
    Everybody, InvalidRedisRateLimit, RedisHandle, RedisWait,
    engine::Engine,
    job::{LeaseQuestion, Recipient},
    lease::{Lease, LeaseTerms, Take},
    limit::{Demand, Reader},
    permit::Held,
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
/// token that is refunded earlier is not noticed).
///
/// Leases are kept for a bounded number of keys, as in [`Keyed`]. A key without a lease asks Redis
/// for each request.
///
/// # Cancellation
///
/// As for [`RedisRateLimit`](crate::RedisRateLimit). Tokens from a lease are refunded to it. Tokens
/// that exceed its size, or are older than its lifetime, are refunded in Redis.
pub struct LeasedRateLimit<K = Everybody, C = One> {
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

/// The lease of one key.
pub struct LeaseCell<K, C> {
    lease: Arc<Lease>,
    engine: Arc<Engine>,
    reader: Arc<Reader<K, C>>,
    batch: u32,
    /// Set for cells that keys share: their tokens would belong to no key.
    overflow: OnceLock<()>,
}

/// The tokens that a request took from a lease or from Redis. Plain data.
#[derive(Debug)]
pub struct LeasePermit(Taken);

#[derive(Debug)]
enum Taken {
    Lease {
        count: u32,
        generation: u64,
        /// The earliest time at which Redis granted them, by its clock.
        at: u64,
    },
    Asked(Held),
}

impl LeasePermit {
    fn of(held: Held) -> Self {
        Self(Taken::Asked(held))
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

/// Creates the cells of a table, all with the same settings.
struct LeaseFactory<K, C> {
    engine: Arc<Engine>,
    reader: Arc<Reader<K, C>>,
    terms: Arc<LeaseTerms>,
}

impl<K, C> LeaseFactory<K, C> {
    fn make(&self) -> LeaseCell<K, C> {
        LeaseCell {
            lease: Arc::new(Lease::new(Arc::clone(&self.terms))),
            engine: Arc::clone(&self.engine),
            reader: Arc::clone(&self.reader),
            batch: self.terms.batch,
            overflow: OnceLock::new(),
        }
    }
}

impl<K, C> LeaseCell<K, C> {
    /// Tokens in hand.
    pub fn tokens(&self, now: Instant) -> u32 {
        self.lease.tokens(now)
    }

    /// Asks Redis, for the lease's generation. The question that fills the lease asks for a batch
    /// on top.
    #[cold]
    fn ask<Req>(
        &self,
        req: &Req,
        lease: Option<(u64, bool)>,
        now: Instant,
    ) -> Verdict<LeasePermit, RedisWait>
    where
        K: Key<Req>,
        C: Weigh<Req>,
    {
        // Dropped on an early return, it lets another question fill the lease.
        let question = lease.map(|(generation, fills)| self.question(generation, fills));
        let (digest, cost) = match self.reader.read(req, &self.engine) {
            Ok(Demand::Tokens(digest, cost)) => (digest, cost),
            Ok(Demand::None) => return Verdict::Admit(LeasePermit::of(Held::Nothing)),
            Err(rejection) => return Verdict::Reject(rejection),
        };
        if let Some((generation, _)) = lease {
            self.lease.set_owner(generation, digest);
        }
        let most = match lease {
            Some((_, true)) => cost.saturating_add(self.batch),
            _ => cost,
        };
        let recipient = |sender| match question {
            Some(mut question) => {
                question.request = Some((cost, sender));
                Recipient::Lease(question)
            }
            None => Recipient::Request(sender),
        };
        match self.engine.request(digest, (cost, most), recipient, now) {
            Verdict::Admit(held) => Verdict::Admit(LeasePermit::of(held)),
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
            Verdict::Wait(wait) => Verdict::Wait(wait),
        }
    }

    /// Fetches the next batch. Calls no key function: a panic in it would lose the request's
    /// tokens.
    #[cold]
    fn fill(&self, generation: u64, now: Instant) {
        // Dropped on an early return, it lets another question fill the lease.
        let question = self.question(generation, true);
        if let Some(digest) = self.lease.owner(generation) {
            self.engine
                .prefetch(digest, self.batch, Recipient::Lease(question), now);
        }
    }

    /// Refunds tokens of a request that never ran: to the lease, and what exceeds its size to
    /// Redis.
    #[cold]
    fn refund(&self, count: u32, generation: u64, at: u64, now: Instant) {
        let over = self.lease.refund(count, generation, now);
        match self.lease.owner(generation) {
            Some(digest) if over > 0 => self.engine.refund(digest, over, at),
            owner => {
                self.engine.counts.refunds.add();
                if over > 0 && owner.is_none() {
                    self.engine.counts.refunds_dropped.add();
                }
            }
        }
    }

    fn question(&self, generation: u64, fills: bool) -> LeaseQuestion {
        LeaseQuestion {
            lease: Arc::clone(&self.lease),
            generation,
            fills,
            request: None,
        }
    }

    #[cold]
    fn rejection(&self, wait: Duration) -> Rejection {
        self.engine.counts.refused_by_lease.add();
        let lease = &self.lease;
        self.engine.rejection(wait, lease.tightest(), &lease.left())
    }
}

impl<Req, K: Key<Req>, C: Weigh<Req>> Policy<Req> for LeaseCell<K, C> {
    type Permit = LeasePermit;
    type Wait = RedisWait;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<LeasePermit, RedisWait> {
        if self.overflow.get().is_some() {
            return self.ask(req, None, now);
        }
        let cost = match self.reader.cost(req, &self.engine) {
            Ok(Some(cost)) => cost,
            Ok(None) => {
                return Verdict::Admit(LeasePermit::of(Held::Nothing));
            }
            Err(rejection) => return Verdict::Reject(rejection),
        };
        match self.lease.take(cost, now) {
            Take::Taken {
                generation,
                fill,
                at,
            } => {
                self.engine.counts.leased.add();
                if fill {
                    self.fill(generation, now);
                }
                Verdict::Admit(LeasePermit(Taken::Lease {
                    count: cost,
                    generation,
                    at,
                }))
            }
            Take::Rejected(wait) => Verdict::Reject(self.rejection(wait)),
            Take::Empty { generation, fill } => self.ask(req, Some((generation, fill)), now),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut RedisWait>,
        _: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<LeasePermit, Rejection>> {
        let count = wait.cost();
        let Poll::Ready(decided) = wait.poll(&self.engine, now, cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match decided {
            Ok(held) => Ok(LeasePermit::of(held)),
            // A batch that arrived meanwhile may have taken the last tokens in Redis.
            Err(rejection) => match self.lease.take_here(count, now) {
                Some((generation, at)) => {
                    self.engine.counts.leased.add();
                    Ok(LeasePermit(Taken::Lease {
                        count,
                        generation,
                        at,
                    }))
                }
                None => Err(rejection),
            },
        })
    }

    fn abandon(&self, wait: Pin<&mut RedisWait>, now: Instant) {
        wait.abandon(&self.engine, now);
    }

    #[inline]
    fn finish(&self, permit: LeasePermit, outcome: &Outcome) {
        if let Taken::Asked(held) = permit.0 {
            self.engine.finish(held, outcome);
        }
    }

    fn revoke(&self, permit: LeasePermit, admitted: Instant, now: Instant) {
        match permit.0 {
            Taken::Lease {
                count,
                generation,
                at,
            } => self.refund(count, generation, at, now),
            Taken::Asked(held) => self.engine.revoke(held, admitted, now),
        }
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    fn announce(&self, permit: &LeasePermit, _: Instant, out: &mut Announcement<'_>) {
        match &permit.0 {
            Taken::Lease { .. } => self.engine.announce(&self.lease.left(), out),
            Taken::Asked(Held::Redis(taken)) => {
                self.engine.announce(&taken.left, out);
            }
            Taken::Asked(_) => {}
        }
    }
}

impl<K: Send + Sync, C: Send + Sync> Cell for LeaseCell<K, C> {
    fn reset(&self) {
        self.lease.reset();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        self.lease.settles_in(now)
    }

    fn overflow(&self) {
        _ = self.overflow.set(());
    }
}

impl<Req, K: Key<Req>, C: Weigh<Req>> Policy<Req> for LeasedRateLimit<K, C> {
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
    fn reads_latency(&self) -> bool {
        false
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

impl<K, C> fmt::Debug for LeaseCell<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseCell")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
