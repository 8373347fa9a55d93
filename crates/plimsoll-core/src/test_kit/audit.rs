//! A policy that counts permits, and one that rejects everything.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use tokio::time::Instant;

use crate::{
    Class, Interests, Kind, Outcome, Policy, Rejection, Verdict, policy::forward::forward_permit,
};

/// Wraps a policy and counts the start and the end of every permit.
#[derive(Debug)]
pub struct Audited<P> {
    policy: P,
    audit: Audit,
}

/// The counts of an [`Audited`] policy. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Audit(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    granted: AtomicU64,
    finished: AtomicU64,
    revoked: AtomicU64,
    waits: AtomicU64,
    waits_over: AtomicU64,
    classes: Mutex<Vec<Class>>,
}

impl<P> Audited<P> {
    /// Audits `policy`.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            audit: Audit::default(),
        }
    }

    /// Returns the counts.
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// Returns the audited policy.
    pub fn get_ref(&self) -> &P {
        &self.policy
    }
}

impl Audit {
    /// Returns how many permits were granted.
    pub fn granted(&self) -> u64 {
        self.0.granted.load(SeqCst)
    }

    /// Returns how many permits `finish` ended.
    pub fn finished(&self) -> u64 {
        self.0.finished.load(SeqCst)
    }

    /// Returns how many permits `revoke` ended.
    pub fn revoked(&self) -> u64 {
        self.0.revoked.load(SeqCst)
    }

    /// Returns how many waits are neither granted, rejected nor abandoned.
    pub fn waiting(&self) -> u64 {
        self.0.waits.load(SeqCst) - self.0.waits_over.load(SeqCst)
    }

    /// Returns how many permits have not ended. Negative when a permit ended twice.
    pub fn outstanding(&self) -> i64 {
        self.granted() as i64 - (self.finished() + self.revoked()) as i64
    }

    /// Returns the classes of the finished calls, in order.
    ///
    /// # Panics
    ///
    /// If another thread panicked while it added one.
    pub fn classes(&self) -> Vec<Class> {
        self.0
            .classes
            .lock()
            .expect("adding a class does not panic")
            .clone()
    }
}

impl<Req, P: Policy<Req>> Policy<Req> for Audited<P> {
    type Permit = P::Permit;
    type Wait = P::Wait;

    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<P::Permit, P::Wait> {
        let verdict = self.policy.admit(req, now);
        match &verdict {
            Verdict::Admit(_) => self.audit.0.granted.fetch_add(1, SeqCst),
            Verdict::Wait(_) => self.audit.0.waits.fetch_add(1, SeqCst),
            Verdict::Reject(_) => 0,
        };
        verdict
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut P::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<P::Permit, Rejection>> {
        let polled = self.policy.poll_wait(wait, req, now, cx);
        if let Poll::Ready(result) = &polled {
            self.audit.0.waits_over.fetch_add(1, SeqCst);
            self.audit
                .0
                .granted
                .fetch_add(u64::from(result.is_ok()), SeqCst);
        }
        polled
    }

    fn abandon(&self, wait: Pin<&mut P::Wait>, now: Instant) {
        self.audit.0.waits_over.fetch_add(1, SeqCst);
        self.policy.abandon(wait, now);
    }

    fn finish(&self, permit: P::Permit, outcome: &Outcome) {
        self.audit.0.finished.fetch_add(1, SeqCst);
        if let Ok(mut classes) = self.audit.0.classes.lock() {
            classes.push(outcome.class);
        }
        self.policy.finish(permit, outcome);
    }

    fn revoke(&self, permit: P::Permit, admitted: Instant, now: Instant) {
        self.audit.0.revoked.fetch_add(1, SeqCst);
        self.policy.revoke(permit, admitted, now);
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        self.policy.interests(asked)
    }

    forward_permit!(reports self, permit: permit, permit => self.policy, permit);
}

/// Rejects every request, as [`Kind::Full`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RejectAll;

impl<Req> Policy<Req> for RejectAll {
    type Permit = Infallible;
    crate::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<Infallible, Infallible> {
        Verdict::Reject(Rejection::new("reject-all", Kind::Full))
    }

    fn finish(&self, permit: Infallible, _: &Outcome) {
        match permit {}
    }

    fn revoke(&self, permit: Infallible, _: Instant, _: Instant) {
        match permit {}
    }
}
