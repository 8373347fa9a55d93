//! What the exact and the leased policy share: asking Redis, and deciding without it.

use std::{sync::Arc, time::Duration};

use plimsoll_circuit_breaker::{BreakerPermit, CircuitBreaker};
use plimsoll_core::{Announcement, Class, Kind, Outcome, Policy, Rejection, Verdict};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    NAME, OnFailure,
    counts::Counts,
    digest::{Digest, Digests},
    job::{Answer, Ask, Asker, Change, Failed, GiveBack, Job},
    link::Link,
    local::Local,
    permit::{Held, Taken},
    quotas::{Left, Shared},
    script::Reply,
    wait::RedisWait,
};

pub(crate) struct Engine {
    pub(crate) quotas: Box<[Shared]>,
    pub(crate) links: Box<[Link]>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) local: Local,
    pub(crate) on_failure: OnFailure,
    pub(crate) deadline: Duration,
    /// The largest cost that can ever be had.
    pub(crate) largest: u32,
    pub(crate) digests: Digests,
}

impl Engine {
    /// Asks for one request, through `asker`: it waits for the answer, or there is a verdict at once.
    pub(crate) fn ask_for(
        &self,
        digest: Digest,
        (cost, most): (u32, u32),
        asker: impl FnOnce(oneshot::Sender<Answer>) -> Asker,
        now: Instant,
    ) -> Verdict<Held, RedisWait> {
        let asked = self.way(digest, now).and_then(|(link, breaker)| {
            let (sender, answer) = oneshot::channel();
            self.send(link, breaker, ask(digest, cost, most, asker(sender)), now)?;
            let until = now + self.deadline;
            Ok(RedisWait::new(answer, digest, cost, breaker, until))
        });
        match asked {
            Ok(wait) => Verdict::Wait(wait),
            Err(failed) => match self.without_redis(failed, digest, cost, now) {
                Ok(held) => Verdict::Admit(held),
                Err(rejection) => Verdict::Reject(rejection),
            },
        }
    }

    /// Asks for 1 to `most` without anybody waiting. The breaker does not learn from it: if no answer comes, requests will
    /// find out.
    pub(crate) fn ask_ahead(&self, digest: Digest, most: u32, asker: Asker, now: Instant) {
        if let Ok((link, breaker)) = self.way(digest, now) {
            Policy::<()>::revoke(&self.breaker, breaker, now, now);
            _ = link.send(Job::Ask(ask(digest, 1, most, asker)));
        }
    }

    /// A connection that stands, and the breaker's permit.
    fn way(&self, digest: Digest, now: Instant) -> Result<(&Link, BreakerPermit), Failed> {
        let link = self.link(digest).ok_or(Failed::Lost)?;
        match Policy::<()>::admit(&self.breaker, &mut (), now) {
            Verdict::Admit(breaker) => Ok((link, breaker)),
            _ => Err(Failed::Open),
        }
    }

    fn send(
        &self,
        link: &Link,
        breaker: BreakerPermit,
        ask: Ask,
        now: Instant,
    ) -> Result<(), Failed> {
        link.send(Job::Ask(ask)).map_err(|_| {
            // Redis is slower than the traffic, whatever its answers say.
            self.heard(breaker, false, now);
            Failed::Full
        })
    }

    /// The key's connection, or any that stands.
    fn link(&self, digest: Digest) -> Option<&Link> {
        let first = usize::from(digest.0[0]) % self.links.len();
        let (before, from) = self.links.split_at(first);
        from.iter().chain(before).find(|link| link.is_up())
    }

    /// Tells the breaker.
    pub(crate) fn heard(&self, permit: BreakerPermit, well: bool, now: Instant) {
        let class = if well { Class::Success } else { Class::Failure };
        let outcome = Outcome::new(class, Duration::ZERO, now);
        Policy::<()>::finish(&self.breaker, permit, &outcome);
    }

    /// Makes a verdict of an answer.
    pub(crate) fn decide(
        &self,
        answer: Answer,
        digest: Digest,
        cost: u32,
        now: Instant,
    ) -> Result<Held, Rejection> {
        match answer {
            Ok(Reply::Granted { at, left, .. }) => {
                self.counts.admitted.add();
                Ok(Held::Redis(Taken {
                    digest,
                    count: cost,
                    at,
                    left,
                }))
            }
            Ok(Reply::Refused {
                wait,
                tightest,
                left,
                ..
            }) => {
                self.counts.refused.add();
                Err(self.refusal(wait, tightest.into(), &left))
            }
            Ok(Reply::Late { .. }) => self.without_redis(Failed::Timeout, digest, cost, now),
            Err(failed) => self.without_redis(failed, digest, cost, now),
        }
    }

    /// The choice that was made for when Redis does not answer.
    #[cold]
    pub(crate) fn without_redis(
        &self,
        failed: Failed,
        digest: Digest,
        cost: u32,
        now: Instant,
    ) -> Result<Held, Rejection> {
        self.counts.failed(failed);
        match self.on_failure {
            OnFailure::Local => {
                self.counts.local.add();
                self.local.admit(digest, cost, now).map(Held::Local)
            }
            OnFailure::Open => {
                self.counts.opened.add();
                Ok(Held::Nothing)
            }
            OnFailure::Closed => {
                self.counts.closed.add();
                let rejection = Rejection::new(NAME, Kind::Full);
                let wait = self.breaker.handle().retry_after(now);
                Err(match wait.filter(|wait| !wait.is_zero()) {
                    Some(wait) => rejection.with_retry_after(wait),
                    None => rejection,
                })
            }
        }
    }

    /// Refuses for so long, because of one quota.
    #[cold]
    pub(crate) fn refusal(&self, wait: Duration, quota: usize, left: &[Left]) -> Rejection {
        let rejection = Rejection::new(NAME, Kind::OverQuota).with_retry_after(wait);
        let told = self.quotas.get(quota).zip(left.get(quota));
        match told.and_then(|(quota, left)| quota.allowance(*left)) {
            Some(mut allowance) => {
                // What is left is not enough for this request: its wait is the one that counts.
                allowance.reset = allowance.reset.max(wait);
                rejection.with_allowance(allowance)
            }
            None => rejection,
        }
    }

    /// Refuses for ever: no wait makes a burst larger.
    #[cold]
    pub(crate) fn too_large(&self) -> Rejection {
        self.counts.over_size.add();
        Rejection::new(NAME, Kind::OverQuota)
    }

    /// Gives tokens back to Redis, when there is room for it.
    pub(crate) fn give_back(&self, digest: Digest, count: u32, at: u64) {
        self.counts.refunds.add();
        let job = Job::GiveBack(GiveBack {
            digest,
            count,
            at,
            again: false,
        });
        let queued = self.link(digest).map(|link| link.send(job));
        if !matches!(queued, Some(Ok(()))) {
            self.counts.refunds_dropped.add();
        }
    }

    /// Grants requests to a key, or resets it. Whether there was anything to change.
    pub(crate) async fn change(&self, digest: Digest, tokens: Option<u32>) -> Result<bool, Failed> {
        let link = self.link(digest).ok_or(Failed::Lost)?;
        let (sender, answer) = oneshot::channel();
        let change = Change {
            digest,
            tokens,
            sender,
            again: false,
        };
        link.send(Job::Change(change)).map_err(|_| Failed::Full)?;
        // Answered at the latest when the connection is given up.
        answer.await.unwrap_or(Err(Failed::Lost))
    }

    pub(crate) fn announce(&self, left: &[Left], out: &mut Announcement<'_>) {
        for (quota, left) in self.quotas.iter().zip(left) {
            if let Some(allowance) = quota.allowance(*left) {
                out.allowance(&allowance);
            }
        }
    }
}

fn ask(digest: Digest, least: u32, most: u32, asker: Asker) -> Ask {
    Ask {
        digest,
        least,
        most,
        asker,
        again: false,
    }
}

/// The ends of permits.
impl Engine {
    pub(crate) fn finish(&self, held: Held, outcome: &Outcome) {
        if let Held::Local(permit) = held {
            self.local.finish(permit, outcome);
        }
    }

    pub(crate) fn revoke(&self, held: Held, admitted: Instant, now: Instant) {
        match held {
            Held::Redis(Taken {
                digest, count, at, ..
            }) => self.give_back(digest, count, at),
            Held::Local(permit) => self.local.revoke(permit, admitted, now),
            Held::Nothing => {}
        }
    }
}
