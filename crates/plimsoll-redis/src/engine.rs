//! The core of both policies: questions to Redis, and decisions without it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerPermit};
use plimsoll_core::{
    Class, Kind, Outcome, Policy, Rejection,
    policy::{Announcement, Verdict},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    NAME, OnFailure,
    answer::Answer,
    counts::Counts,
    digest::{Digest, Digests},
    failed::Failed,
    job::{Change, Job, Question, Recipient, Refund},
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
    /// The largest cost that every quota can hold.
    pub(crate) largest: u32,
    pub(crate) digests: Digests,
}

impl Engine {
    /// Sends a question for one request: the request waits for the answer, or is decided at once.
    pub(crate) fn request(
        &self,
        digest: Digest,
        (cost, most): (u32, u32),
        recipient: impl FnOnce(oneshot::Sender<Answer>) -> Recipient,
        now: Instant,
    ) -> Verdict<Held, RedisWait> {
        let asked = self.route(digest, now).and_then(|(link, breaker)| {
            let (sender, answer) = oneshot::channel();
            self.send(
                link,
                breaker,
                question(digest, cost, most, recipient(sender)),
                now,
            )?;
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

    /// Sends a question for 1 to `most` tokens that no request waits for. The breaker ignores it:
    /// if no answer comes, later requests report that.
    pub(crate) fn prefetch(&self, digest: Digest, most: u32, recipient: Recipient, now: Instant) {
        if let Ok((link, breaker)) = self.route(digest, now) {
            Policy::<()>::revoke(&self.breaker, breaker, now, now);
            _ = link.send(Job::Question(question(digest, 1, most, recipient)));
        }
    }

    /// A connection that is up, and the breaker's permit.
    fn route(&self, digest: Digest, now: Instant) -> Result<(&Link, CircuitBreakerPermit), Failed> {
        let link = self.link(digest).ok_or(Failed::Lost)?;
        match Policy::<()>::admit(&self.breaker, &mut (), now) {
            Verdict::Admit(breaker) => Ok((link, breaker)),
            _ => Err(Failed::Open),
        }
    }

    fn send(
        &self,
        link: &Link,
        breaker: CircuitBreakerPermit,
        question: Question,
        now: Instant,
    ) -> Result<(), Failed> {
        link.send(Job::Question(question)).map_err(|_| {
            // Redis is slower than the traffic, so this is a failure.
            self.report(breaker, false, now);
            Failed::Full
        })
    }

    /// The key's connection if it is up, or any other that is up.
    fn link(&self, digest: Digest) -> Option<&Link> {
        let first = usize::from(digest.0[0]) % self.links.len();
        let (before, from) = self.links.split_at(first);
        from.iter().chain(before).find(|link| link.is_up())
    }

    /// Reports an outcome to the breaker.
    fn report(&self, permit: CircuitBreakerPermit, success: bool, now: Instant) {
        let class = if success {
            Class::Success
        } else {
            Class::Failure
        };
        let outcome = Outcome::new(class, Duration::ZERO, now);
        Policy::<()>::finish(&self.breaker, permit, &outcome);
    }

    /// Polls a wait, and decides by its answer.
    pub(crate) fn poll_wait(
        &self,
        mut wait: Pin<&mut RedisWait>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Held, Rejection>> {
        let answer = ready!(wait.as_mut().poll_answer(now, cx));
        if let Some(breaker) = wait.as_mut().take_breaker() {
            let success = matches!(answer, Ok(Reply::Granted { .. } | Reply::Rejected { .. }));
            self.report(breaker, success, now);
        }
        Poll::Ready(self.decide(answer, wait.digest(), wait.cost(), now))
    }

    /// Cancels a wait. Tokens that were granted by now are refunded here; later grants are
    /// refunded by the task.
    pub(crate) fn abandon(&self, mut wait: Pin<&mut RedisWait>, now: Instant) {
        if let Some(breaker) = wait.as_mut().take_breaker() {
            Policy::<()>::revoke(&self.breaker, breaker, now, now);
        }
        let digest = wait.digest();
        if let Ok(Reply::Granted { count, at, .. }) = wait.end() {
            self.refund(digest, count, at);
        }
    }

    /// Turns an answer into a decision.
    fn decide(
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
            Ok(Reply::Rejected {
                wait,
                tightest,
                left,
                ..
            }) => {
                self.counts.rejected.add();
                Err(self.rejection(wait, tightest.into(), &left))
            }
            Ok(Reply::Expired { .. }) => self.without_redis(Failed::Timeout, digest, cost, now),
            Err(failed) => self.without_redis(failed, digest, cost, now),
        }
    }

    /// Decides by `OnFailure` when Redis does not answer.
    #[cold]
    fn without_redis(
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

    /// The rejection for this wait, because of one quota.
    #[cold]
    pub(crate) fn rejection(&self, wait: Duration, quota: usize, left: &[Left]) -> Rejection {
        let rejection = Rejection::new(NAME, Kind::OverQuota).with_retry_after(wait);
        let named = self.quotas.get(quota).zip(left.get(quota));
        match named.and_then(|(quota, left)| quota.allowance(*left)) {
            Some(mut allowance) => {
                // The rest is not enough for this request, so its wait counts.
                allowance.reset = allowance.reset.max(wait);
                rejection.with_allowance(allowance)
            }
            None => rejection,
        }
    }

    /// The rejection of a cost that exceeds a quota: without a wait.
    #[cold]
    pub(crate) fn too_large(&self) -> Rejection {
        self.counts.over_size.add();
        Rejection::new(NAME, Kind::OverQuota)
    }

    /// Refunds tokens in Redis, if the queue has room.
    pub(crate) fn refund(&self, digest: Digest, count: u32, at: u64) {
        self.counts.refunds.add();
        let job = Job::Refund(Refund {
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

    /// Grants tokens to a key, or resets it. Returns whether Redis had the key.
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
        // Answered at the latest when the connection is closed.
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

fn question(digest: Digest, least: u32, most: u32, recipient: Recipient) -> Question {
    Question {
        digest,
        least,
        most,
        recipient,
        again: false,
    }
}

/// How permits end.
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
            }) => self.refund(digest, count, at),
            Held::Local(permit) => self.local.revoke(permit, admitted, now),
            Held::Nothing => {}
        }
    }
}
