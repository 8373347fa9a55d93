//! A policy that configuration can leave out.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::Instant;

use crate::{Announcement, Outcome, Policy, Rejection, Verdict, WaitsOn};

/// `None` admits every request and holds nothing. Lets configuration leave out a policy.
///
/// ```
/// use plimsoll_core::GateLayer;
/// # let (rate, concurrency) = ((), ());
/// let limit_rate = std::env::var_os("LIMIT_RATE").is_some();
/// let layer = GateLayer::new((limit_rate.then_some(rate), concurrency));
/// # let _: GateLayer<(Option<()>, ())> = layer;
/// ```
impl<Req, P: Policy<Req>> Policy<Req> for Option<P> {
    type Permit = Option<P::Permit>;
    type Wait = P::Wait;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        match self {
            None => Verdict::Admit(None),
            Some(policy) => policy.admit(req, now).map(Some),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        match self {
            None => Poll::Ready(Ok(None)),
            Some(policy) => policy.poll_wait(wait, req, now, cx).map_ok(Some),
        }
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        if let Some(policy) = self {
            policy.abandon(wait, now);
        }
    }

    #[inline]
    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        if let (Some(policy), Some(permit)) = (self, permit) {
            policy.finish(permit, outcome);
        }
    }

    #[inline]
    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        if let (Some(policy), Some(permit)) = (self, permit) {
            policy.revoke(permit, admitted, now);
        }
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        self.as_ref().is_some_and(Policy::<Req>::reads_latency)
    }

    #[inline]
    fn announces(&self) -> bool {
        self.as_ref().is_some_and(Policy::<Req>::announces)
    }

    #[inline]
    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        if let (Some(policy), Some(permit)) = (self, permit) {
            policy.announce(permit, admitted, out);
        }
    }

    #[inline]
    fn watches_bodies(&self) -> bool {
        self.as_ref().is_some_and(Policy::<Req>::watches_bodies)
    }

    #[inline]
    fn body_waits(&self, permit: &mut Self::Permit, on: WaitsOn) {
        if let (Some(policy), Some(permit)) = (self, permit) {
            policy.body_waits(permit, on);
        }
    }
}
