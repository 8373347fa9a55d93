//! One of several policies, chosen by the request.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{Announcement, Outcome, Policy, Rejection, Verdict, WaitsOn};

/// Asks one of several policies of one type: the way to give each plan, tenant class or kind of route its own numbers.
///
/// `choose` answers with the index of the policy; a request for which there is none (`None`, or an index that is too
/// large) passes and holds nothing, so let the last policy be the one for everybody else where nobody should.
///
/// ```
/// use plimsoll_core::{Choose, GateLayer};
/// # let (free, pro) = ((), ());
/// let plan = |req: &http::Request<String>| match req.headers().get("x-plan") {
///     Some(plan) if plan == "pro" => Some(1),
///     _ => Some(0),
/// };
/// let layer = GateLayer::new(Choose::new(plan, [free, pro]));
/// # let _: GateLayer<_> = layer;
/// ```
///
/// Each policy keeps its own state: a caller who moves to another plan starts afresh there.
#[derive(Clone)]
pub struct Choose<F, P> {
    choose: F,
    policies: Box<[P]>,
}

/// The permit of a [`Choose`]: whose it is, and what that policy gave.
#[derive(Debug)]
pub struct ChosenPermit<P>(Option<(usize, P)>);

pin_project! {
    /// The wait of a [`Choose`].
    #[derive(Debug)]
    pub struct ChosenWait<W> {
        index: usize,
        #[pin]
        wait: W,
    }
}

impl<F, P> Choose<F, P> {
    /// Among `policies`, the one that `choose` names.
    pub fn new(choose: F, policies: impl IntoIterator<Item = P>) -> Self {
        Self {
            choose,
            policies: policies.into_iter().collect(),
        }
    }

    /// The policies, in the order in which they were given.
    pub fn get_ref(&self) -> &[P] {
        &self.policies
    }
}

impl<F, P: fmt::Debug> fmt::Debug for Choose<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choose")
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

impl<Req, F, P> Policy<Req> for Choose<F, P>
where
    F: Fn(&Req) -> Option<usize> + Send + Sync,
    P: Policy<Req>,
{
    type Permit = ChosenPermit<P::Permit>;
    type Wait = ChosenWait<P::Wait>;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        let chosen = (self.choose)(req).and_then(|index| Some((index, self.policies.get(index)?)));
        let Some((index, policy)) = chosen else {
            return Verdict::Admit(ChosenPermit(None));
        };
        match policy.admit(req, now) {
            Verdict::Admit(permit) => Verdict::Admit(ChosenPermit(Some((index, permit)))),
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
            Verdict::Wait(wait) => Verdict::Wait(ChosenWait { index, wait }),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        let wait = wait.project();
        let index = *wait.index;
        match self.policies.get(index) {
            Some(policy) => policy
                .poll_wait(wait.wait, req, now, cx)
                .map_ok(|permit| ChosenPermit(Some((index, permit)))),
            None => Poll::Ready(Ok(ChosenPermit(None))),
        }
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        let wait = wait.project();
        if let Some(policy) = self.policies.get(*wait.index) {
            policy.abandon(wait.wait, now);
        }
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        if let Some((policy, permit)) = self.of(permit) {
            policy.finish(permit, outcome);
        }
    }

    #[inline]
    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        if let Some((policy, permit)) = self.of(permit) {
            policy.revoke(permit, admitted, now);
        }
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        self.policies.iter().any(Policy::<Req>::reads_latency)
    }

    #[inline]
    fn announces(&self) -> bool {
        self.policies.iter().any(Policy::<Req>::announces)
    }

    #[inline]
    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        if let Some((index, permit)) = &permit.0
            && let Some(policy) = self.policies.get(*index)
        {
            policy.announce(permit, admitted, out);
        }
    }

    #[inline]
    fn watches_bodies(&self) -> bool {
        self.policies.iter().any(Policy::<Req>::watches_bodies)
    }

    #[inline]
    fn body_waits(&self, permit: &mut Self::Permit, on: WaitsOn) {
        if let Some((index, permit)) = &mut permit.0
            && let Some(policy) = self.policies.get(*index)
        {
            policy.body_waits(permit, on);
        }
    }
}

impl<F, P> Choose<F, P> {
    fn of<Permit>(&self, permit: ChosenPermit<Permit>) -> Option<(&P, Permit)> {
        let (index, permit) = permit.0?;
        Some((self.policies.get(index)?, permit))
    }
}
