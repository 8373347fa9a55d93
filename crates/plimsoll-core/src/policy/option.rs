//! A policy that configuration can leave out.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::forward::forward_permit;
use crate::{Interests, Policy, Rejection, Verdict};

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
    fn interests(&self, asked: Interests) -> Interests {
        self.as_ref()
            .map_or(Interests::NONE, |policy| policy.interests(asked))
    }

    forward_permit!(self, permit: (self, permit), (Some(policy), Some(permit)) => policy, permit);
}
