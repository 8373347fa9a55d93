//! A policy for some requests only.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::forward::forward_permit;
use crate::{Condition, Interests, Policy, Rejection, Verdict};

/// Asks a policy only about requests for which a condition holds; admits the others without a
/// permit.
///
/// ```
/// use plimsoll_core::{GateLayer, When, except_paths};
/// # let limit = ();
/// # type Body = String;
/// // Health checks are never limited.
/// let layer = GateLayer::new(When::new(except_paths(["/health"]), limit));
/// # fn serves<P: plimsoll_core::Policy<http::Request<Body>>>(_: GateLayer<P>) {}
/// # serves(layer);
/// ```
///
/// A [`Condition`] is a closure, [`except_paths`](crate::except_paths),
/// [`except_preflight`](crate::except_preflight), or a pair of these.
#[doc(alias("exempt", "skip"))]
#[derive(Clone, Copy)]
pub struct When<F, P> {
    condition: F,
    policy: P,
}

impl<F, P> When<F, P> {
    /// Asks `policy` about requests for which `condition` holds.
    pub const fn new(condition: F, policy: P) -> Self {
        Self { condition, policy }
    }

    /// Returns the policy behind the condition.
    pub fn get_ref(&self) -> &P {
        &self.policy
    }
}

impl<F, P: fmt::Debug> fmt::Debug for When<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<Req, F, P> Policy<Req> for When<F, P>
where
    F: Condition<Req>,
    P: Policy<Req>,
{
    type Permit = Option<P::Permit>;
    type Wait = P::Wait;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        if !self.condition.holds(req) {
            return Verdict::Admit(None);
        }
        self.policy.admit(req, now).map(Some)
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        self.policy.poll_wait(wait, req, now, cx).map_ok(Some)
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        self.policy.abandon(wait, now);
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        self.policy.interests(asked)
    }

    forward_permit!(self, permit: permit, Some(permit) => self.policy, permit);
}
