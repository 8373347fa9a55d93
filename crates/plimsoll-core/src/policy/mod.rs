//! For authors of policies: the trait, its types, and the building blocks of the policies here.
//!
//! [`Policy`] has an example. [`Waiters`] is a queue; [`Counter`], [`Live`] and [`Epoch`] hold
//! state that many threads read.

mod choose;
pub(crate) mod forward;
mod interests;
mod keyed;
pub(crate) mod ledger;
mod option;
mod shadow;
mod then;
mod tuple;
mod waits_on;
mod when;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use self::forward::forward_permit;
pub use self::{
    choose::{ByValue, Choice, Choose, ChosenPermit, ChosenWait},
    interests::Interests,
    keyed::{Evictable, InvalidKeyed, Keyed, KeyedHandle, KeyedPermit, KeyedWait},
    shadow::{InvalidShadow, Shadow, ShadowHandle, ShadowKeys, ShadowRejection},
    then::{Then, ThenWait},
    waits_on::WaitsOn,
    when::When,
};
#[doc(inline)]
pub use crate::{
    allowance::Allowance,
    announcement::Announcement,
    condition::{Condition, ExceptPaths, ExceptPreflight},
    cost::Spent,
    count::Counter,
    deadline::ReadDeadline,
    epoch::{Epoch, Mark},
    live::Live,
    outcome::{Class, End, Outcome},
    priority::Prioritize,
    rejection::{Kind, Rejection},
    waiters::{Asked, Left, Ticket, Waiters},
};

/// A policy's decision on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<P, W> {
    /// Admits the request. The permit ends through [`Policy::finish`] or [`Policy::revoke`],
    /// exactly once.
    Admit(P),
    /// Rejects the request. Nothing was spent.
    Reject(Rejection),
    /// Queues the request. The gate polls the wait with [`Policy::poll_wait`] or drops it with
    /// [`Policy::abandon`].
    Wait(W),
}

impl<P, W> Verdict<P, W> {
    /// Maps the permit.
    #[inline]
    pub fn map<Q>(self, permit: impl FnOnce(P) -> Q) -> Verdict<Q, W> {
        match self {
            Self::Admit(held) => Verdict::Admit(permit(held)),
            Self::Reject(rejection) => Verdict::Reject(rejection),
            Self::Wait(wait) => Verdict::Wait(wait),
        }
    }
}

/// Synchronous code without a clock that admits, rejects or queues requests.
///
/// A policy never handles pinning, bodies, HTTP or cancellation: the [`Gate`](crate::Gate) does,
/// and ends every permit exactly once, whatever happens to the request. All methods take `&self`
/// and may run on several threads at once.
///
/// ```text
/// admit ─► Admit(permit) ─────────────────────────► finish(permit, outcome)   it ran (also when cancelled half-way)
///       │                                       └─► revoke(permit)            it never ran: a later policy rejected
///       ├► Wait(wait) ─► poll_wait ─► Ok(permit) ─► as above
///       │             │            └► Err(rejection)
///       │             └► abandon(wait)                                        the caller left the queue
///       └► Reject(rejection)
/// ```
///
/// # Example
///
/// A policy that admits one request at a time:
///
/// ```
/// use std::{convert::Infallible, sync::atomic::{AtomicBool, Ordering::{AcqRel, Release}}};
/// use plimsoll_core::{Kind, Outcome, Policy, Rejection, policy::Verdict};
/// use tokio::time::Instant;
///
/// #[derive(Default)]
/// struct OneAtATime { busy: AtomicBool }
///
/// impl<Req> Policy<Req> for OneAtATime {
///     type Permit = ();
///     plimsoll_core::decides_at_once!(Req);     // it never waits
///
///     fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
///         if self.busy.swap(true, AcqRel) {
///             Verdict::Reject(Rejection::new("one-at-a-time", Kind::Full))
///         } else {
///             Verdict::Admit(())
///         }
///     }
///     fn finish(&self, (): (), _: &Outcome) { self.busy.store(false, Release) }
///     fn revoke(&self, (): (), _: Instant, _: Instant) { self.busy.store(false, Release) }
/// }
/// ```
///
/// Check every policy with the `test_kit` (feature `test-kit`).
#[doc(alias("middleware", "limiter"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy for requests of type `{Req}`",
    label = "this is not a `Policy<{Req}>`",
    note = "a gate takes a policy, or a tuple of up to eight: `GateLayer::new((rate, concurrency))`",
    note = "layers such as `RateLimitLayer` are not policies: stack them with `.layer(..)`, or put their policies into one tuple",
    note = "a policy per key needs a key that can be read from this request type"
)]
pub trait Policy<Req>: Send + Sync {
    /// State of an admitted request until it ends. Plain data: no `Arc`, no `Drop`.
    type Permit: Send + 'static;
    /// A place in a queue, or [`Infallible`] for policies that never queue.
    type Wait: Send;

    /// Decides on one request. Never blocks or sleeps; a rejection has spent nothing.
    ///
    /// `now` is the time of the call. A policy may add extensions or headers to the request, and
    /// must leave the rest to the inner service.
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait>;

    /// Polls a queued request. Returns `Pending` only after it registered the waker in `cx`.
    ///
    /// After `Ready` the wait has ended: it is neither polled nor abandoned again.
    ///
    /// # Errors
    ///
    /// The rejection, when the wait timed out or the request was evicted. Nothing is held after
    /// that.
    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>>;

    /// Releases what a wait holds. The caller left the queue at `now`, possibly after the wait was
    /// granted.
    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant);

    /// Ends the permit of a request that ran, with its outcome.
    fn finish(&self, permit: Self::Permit, outcome: &Outcome);

    /// Ends the permit of a request that never ran: releases everything, as if it had never been
    /// asked for.
    ///
    /// `admitted` is the `now` of the [`admit`](Self::admit) that created the permit, directly or
    /// through a wait. `now` is the time of the revocation. Without a queue in the stack both are
    /// equal.
    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant);

    /// Returns which of the optional calls this policy needs: [`Interests::ALL`] by default.
    ///
    /// [`Interests::NONE`] and its setters save a clock read and moves of the response. `asked` is
    /// what the gate reads from this answer; the rest of the answer is ignored. A policy whose
    /// answer takes an atomic load skips it if that is not asked.
    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        _ = asked;
        Interests::ALL
    }

    /// Writes to the head of an accepted response (such as the caller's quota), and reads what the
    /// callee wrote there. Does nothing by default.
    ///
    /// `admitted` is when the permit was admitted; after a wait, when the inner service was called.
    ///
    /// Called again when the response ends with trailers, as gRPC responses do, while the permit is
    /// still held. [`in_trailers`](Announcement::in_trailers) distinguishes the two calls.
    #[inline]
    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        _ = (permit, admitted, out);
    }

    /// Reports which side the response body waits for, while the permit is held.
    ///
    /// Called with [`WaitsOn::Caller`] when the service has answered (if no body follows, the
    /// permit ends next), and after each frame except the last. Called with [`WaitsOn::Service`]
    /// each time the body was polled and is pending, and when the permit is [handed
    /// over](crate::Handover) to an upgraded socket. Does nothing by default.
    ///
    /// A concurrency limit uses it to count permits of callers that may have stopped reading. No
    /// later call can report that: a server that cannot write does not poll the body, and the
    /// permit is inside that body.
    #[inline]
    fn body_waits(&self, permit: &mut Self::Permit, on: WaitsOn) {
        _ = (permit, on);
    }

    /// Reports that the response head has come, where [`Interests::latency`] is set. Does nothing by
    /// default.
    ///
    /// A circuit breaker counts calls that have waited long for their head.
    #[inline]
    fn answered(&self, permit: &mut Self::Permit) {
        _ = permit;
    }

    /// Reports how long a failed or overloaded answer asks its callers to wait, before the permit
    /// ends: `Retry-After`, or gRPC's pushback or `RetryInfo`, of its head or its trailers. Does
    /// nothing by default.
    ///
    /// The value comes from the callee: bound it. `now` is the time of the head, or of the trailers.
    fn asked_to_wait(&self, permit: &Self::Permit, wait: Duration, now: Instant) {
        _ = (permit, wait, now);
    }
}

/// Implements the queue part of a [`Policy`] that never queues: `type Wait = Infallible`,
/// `poll_wait` and `abandon`. Takes the request type of the surrounding `impl`.
///
/// ```
/// # use std::convert::Infallible;
/// # use plimsoll_core::{Outcome, Policy, policy::Verdict};
/// # use tokio::time::Instant;
/// struct Open;
///
/// impl<Req> Policy<Req> for Open {
///     type Permit = ();
///     plimsoll_core::decides_at_once!(Req);
///
///     fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> { Verdict::Admit(()) }
///     fn finish(&self, (): (), _: &Outcome) {}
///     fn revoke(&self, (): (), _: Instant, _: Instant) {}
/// }
/// ```
#[macro_export]
macro_rules! decides_at_once {
    ($req:ty) => {
        type Wait = ::std::convert::Infallible;

        fn poll_wait(
            &self,
            wait: ::std::pin::Pin<&mut ::std::convert::Infallible>,
            _: &mut $req,
            _: $crate::Instant,
            _: &mut ::std::task::Context<'_>,
        ) -> ::std::task::Poll<::std::result::Result<Self::Permit, $crate::Rejection>> {
            match *wait {}
        }

        fn abandon(
            &self,
            wait: ::std::pin::Pin<&mut ::std::convert::Infallible>,
            _: $crate::Instant,
        ) {
            match *wait {}
        }
    };
}

macro_rules! forward_policy {
    ($($doc:literal $pointer:ty;)*) => {$(
        #[doc = $doc]
        impl<Req, P: Policy<Req> + ?Sized> Policy<Req> for $pointer {
            type Permit = P::Permit;
            type Wait = P::Wait;

            #[inline]
            fn admit(&self, req: &mut Req, now: Instant) -> Verdict<P::Permit, P::Wait> {
                (**self).admit(req, now)
            }
            #[inline]
            fn poll_wait(
                &self,
                wait: Pin<&mut P::Wait>,
                req: &mut Req,
                now: Instant,
                cx: &mut Context<'_>,
            ) -> Poll<Result<P::Permit, Rejection>> {
                (**self).poll_wait(wait, req, now, cx)
            }
            #[inline]
            fn abandon(&self, wait: Pin<&mut P::Wait>, now: Instant) {
                (**self).abandon(wait, now);
            }
            #[inline]
            fn interests(&self, asked: Interests) -> Interests {
                (**self).interests(asked)
            }
            forward_permit!(self, permit: permit, permit => (**self), permit);
        }
    )*};
}

forward_policy! {
    "A borrowed policy behaves as the policy it borrows."
    &P;
    "A shared policy behaves as the policy itself: gates that hold clones of one `Arc` share one limit."
    Arc<P>;
}

/// Admits every request. Useful with a protocol that does more than write rejections.
impl<Req> Policy<Req> for () {
    type Permit = ();
    crate::decides_at_once!(Req);

    #[inline]
    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }
    #[inline]
    fn finish(&self, (): (), _: &Outcome) {}
    #[inline]
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}
