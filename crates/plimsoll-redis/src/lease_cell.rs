//! The lease of one key as a policy.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{
    Key, Outcome, Policy, Rejection,
    figures::Figures,
    policy::{Announcement, Evictable, Interests, Verdict},
};
use plimsoll_rate_limit::RequestCost;
use tokio::time::Instant;

use crate::{
    RedisWait,
    engine::Engine,
    figures::Leases,
    job::Recipient,
    lease::{Lease, LeaseTerms, Take},
    lease_question::LeaseQuestion,
    permit::Held,
    reader::{Demand, Reader},
};

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

/// Creates the cells of a table, all with the same settings.
pub(crate) struct LeaseFactory<K, C> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reader: Arc<Reader<K, C>>,
    pub(crate) terms: Arc<LeaseTerms>,
}

impl<K, C> LeaseFactory<K, C> {
    pub(crate) fn make(&self) -> LeaseCell<K, C> {
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
        C: RequestCost<Req>,
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
        self.engine.counts.rejected_by_lease.add();
        let lease = &self.lease;
        self.engine.rejection(wait, lease.tightest(), &lease.left())
    }
}

impl<Req, K: Key<Req>, C: RequestCost<Req>> Policy<Req> for LeaseCell<K, C> {
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
        let Poll::Ready(decided) = self.engine.poll_wait(wait, now, cx) else {
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
        self.engine.abandon(wait, now);
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
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(true)
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

impl<K: Send + Sync, C: Send + Sync> Evictable for LeaseCell<K, C> {
    fn reset(&self) {
        self.lease.reset();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        self.lease.settles_in(now)
    }

    fn overflow(&self) {
        _ = self.overflow.set(());
    }

    fn figures(&self) -> Option<Arc<dyn Figures>> {
        Some(Arc::new(Leases))
    }
}

impl<K, C> fmt::Debug for LeaseCell<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseCell")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
