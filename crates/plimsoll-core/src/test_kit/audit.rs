//! Counts what happens to permits, and a policy that says no.

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

use crate::{Announcement, Class, Kind, Outcome, Policy, Rejection, Verdict, WaitsOn};

/// A policy that is watched: every permit it gives is counted in and out.
#[derive(Debug)]
pub struct Audited<P> {
    policy: P,
    audit: Audit,
}

/// What an [`Audited`] policy saw. Clones share the counts.
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
    /// Watches `policy`.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            audit: Audit::default(),
        }
    }

    /// The counts.
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// The watched policy.
    pub fn get_ref(&self) -> &P {
        &self.policy
    }
}

impl Audit {
    /// Permits given.
    pub fn granted(&self) -> u64 {
        self.0.granted.load(SeqCst)
    }

    /// Permits ended by `finish`.
    pub fn finished(&self) -> u64 {
        self.0.finished.load(SeqCst)
    }

    /// Permits ended by `revoke`.
    pub fn revoked(&self) -> u64 {
        self.0.revoked.load(SeqCst)
    }

    /// Waits that are neither granted, refused nor abandoned.
    pub fn waiting(&self) -> u64 {
        self.0.waits.load(SeqCst) - self.0.waits_over.load(SeqCst)
    }

    /// Permits that have not ended. Negative when some ended twice.
    pub fn outstanding(&self) -> i64 {
        self.granted().cast_signed() - (self.finished() + self.revoked()).cast_signed()
    }

    /// The classes of the finished calls, in order.
    ///
    /// # Panics
    ///
    /// When a thread panicked while adding one.
    pub fn classes(&self) -> Vec<Class> {
        self.0.classes.lock().expect("no audit panics").clone()
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
    fn reads_latency(&self) -> bool {
        self.policy.reads_latency()
    }

    fn announces(&self) -> bool {
        self.policy.announces()
    }

    fn announce(&self, permit: &P::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        self.policy.announce(permit, admitted, out);
    }

    fn watches_bodies(&self) -> bool {
        self.policy.watches_bodies()
    }

    fn body_waits(&self, permit: &mut P::Permit, on: WaitsOn) {
        self.policy.body_waits(permit, on);
    }
}

/// Says no to everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct RefuseAll;

impl<Req> Policy<Req> for RefuseAll {
    type Permit = Infallible;
    crate::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<Infallible, Infallible> {
        Verdict::Reject(Rejection::new("refuse-all", Kind::Full))
    }

    fn finish(&self, permit: Infallible, _: &Outcome) {
        match permit {}
    }

    fn revoke(&self, permit: Infallible, _: Instant, _: Instant) {
        match permit {}
    }
}
