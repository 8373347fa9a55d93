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
    job::{Asker, ForLease},
    lease::{Lease, LeaseTerms, Take},
    limit::{Reader, Wanted},
    permit::Held,
};

/// One limit for all replicas, of which each takes tokens in batches: most decisions cost no round trip.
///
/// # What it costs in precision
///
/// Tokens may be spent later than they were taken. So in any stretch of time, and for any key, no more requests are let in than
/// the quota allows there, and
///
/// ```text
/// overshoot ≤ replicas × (batch + low_water)
/// ```
///
/// on top of it: what all replicas together had in hand when it began ([`LeaseSettings::most`](crate::LeaseSettings::most)).
/// Over a long time the rate is the quota's, since every token was taken from it. In the other direction, tokens that lie in one
/// replica are not to be had in another: up to `(replicas - 1) × (batch + low_water)` may be refused that an exact limit would let in,
/// and tokens that nobody spent within the lifetime are lost.
///
/// The bound also holds through a failover of Redis, plus what the old master granted and had not
/// yet replicated; see the [crate](crate#what-a-failover-can-lose).
///
/// # How it decides
///
/// A request takes its tokens from its key's lease, in one compare-and-swap. Whoever brings it down to the low-water mark has the
/// next batch fetched, and goes on. One that finds too little asks Redis itself: the first for a batch, others meanwhile for
/// what they need. When Redis refuses a single token it says for how long, and until then the key is refused here (a
/// token that somebody gives back earlier is not noticed).
///
/// Leases are kept for a bounded number of keys, as [`Keyed`] does. A key that finds no room has none and asks Redis each time.
///
/// # Cancellation
///
/// As for [`RedisRateLimit`](crate::RedisRateLimit). Tokens that came from a lease are released to
/// it. Those that it has no room for, or that have outlived its lifetime, are released in Redis.
pub struct LeasedRateLimit<K = Everybody, C = One> {
    engine: Arc<Engine>,
    keyed: Keyed<KeyOf<K, C>, LeaseCell<K, C>>,
}

/// Reads the key that the lease is for.
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

/// One key's lease.
pub struct LeaseCell<K, C> {
    lease: Arc<Lease>,
    engine: Arc<Engine>,
    reader: Arc<Reader<K, C>>,
    batch: u32,
    /// Set for cells that keys share: a lease there would belong to no key.
    overflow: OnceLock<()>,
}

/// What a request took from a lease, or from elsewhere. Plain data.
#[derive(Debug)]
pub struct LeasePermit(Taken);

#[derive(Debug)]
enum Taken {
    Lease {
        count: u32,
        generation: u64,
        /// When Redis granted it, at the earliest, by its clock.
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
        let cell = LeaseMaker {
            engine: Arc::clone(&engine),
            reader: Arc::clone(&reader),
            terms,
        };
        let keyed = Keyed::new(KeyOf(reader), missing, capacity, move || cell.make())?;
        Ok(Self { engine, keyed })
    }

    /// The counters, and the breaker.
    pub fn handle(&self) -> RedisHandle {
        RedisHandle(Arc::clone(&self.engine))
    }

    /// The table of leases: how many keys have one, and how many found no room.
    pub fn leases(&self) -> KeyedHandle<LeaseCell<K, C>> {
        self.keyed.handle()
    }
}

/// Makes the cells of a table, all equal.
struct LeaseMaker<K, C> {
    engine: Arc<Engine>,
    reader: Arc<Reader<K, C>>,
    terms: Arc<LeaseTerms>,
}

impl<K, C> LeaseMaker<K, C> {
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

    /// Asks Redis, for the lease's generation, and for a batch on top when this is the one that fills it.
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
        // Dropped on the way out, it lets another fill the lease.
        let question = lease.map(|(generation, fills)| self.question(generation, fills));
        let (digest, cost) = match self.reader.read(req, &self.engine) {
            Ok(Wanted::Ask(digest, cost)) => (digest, cost),
            Ok(Wanted::Nothing) => return Verdict::Admit(LeasePermit::of(Held::Nothing)),
            Err(rejection) => return Verdict::Reject(rejection),
        };
        if let Some((generation, _)) = lease {
            self.lease.set_owner(generation, digest);
        }
        let most = match lease {
            Some((_, true)) => cost.saturating_add(self.batch),
            _ => cost,
        };
        let asker = |sender| match question {
            Some(mut question) => {
                question.request = Some((cost, sender));
                Asker::Lease(question)
            }
            None => Asker::Request(sender),
        };
        match self.engine.ask_for(digest, (cost, most), asker, now) {
            Verdict::Admit(held) => Verdict::Admit(LeasePermit::of(held)),
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
            Verdict::Wait(wait) => Verdict::Wait(wait),
        }
    }

    /// Has the next batch fetched. Calls no key function: one that panicked would take the
    /// request's tokens with it.
    #[cold]
    fn fill(&self, generation: u64, now: Instant) {
        // Dropped on the way out, it lets another fill the lease.
        let question = self.question(generation, true);
        if let Some(digest) = self.lease.owner(generation) {
            self.engine
                .ask_ahead(digest, self.batch, Asker::Lease(question), now);
        }
    }

    /// Releases tokens of a request that never ran: to the lease, and to Redis what the lease has
    /// no room for.
    #[cold]
    fn give_back(&self, count: u32, generation: u64, at: u64, now: Instant) {
        let over = self.lease.give_back(count, generation, now);
        match self.lease.owner(generation) {
            Some(digest) if over > 0 => self.engine.give_back(digest, over, at),
            owner => {
                self.engine.counts.refunds.add();
                if over > 0 && owner.is_none() {
                    self.engine.counts.refunds_dropped.add();
                }
            }
        }
    }

    fn question(&self, generation: u64, fills: bool) -> ForLease {
        ForLease {
            lease: Arc::clone(&self.lease),
            generation,
            fills,
            request: None,
        }
    }

    #[cold]
    fn refused(&self, wait: Duration) -> Rejection {
        self.engine.counts.refused_by_lease.add();
        let lease = &self.lease;
        self.engine.refusal(wait, lease.tightest(), &lease.left())
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
            Take::Refused(wait) => Verdict::Reject(self.refused(wait)),
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
        let Poll::Ready(said) = wait.poll(&self.engine, now, cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match said {
            Ok(held) => Ok(LeasePermit::of(held)),
            // Perhaps a batch has come meanwhile, and took what Redis had.
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
            } => self.give_back(count, generation, at, now),
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
