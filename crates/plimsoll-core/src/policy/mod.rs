//! The trait in the middle: code that says yes, no or wait, and is told how the call ended.

mod choose;
mod keyed;
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
};

use tokio::time::Instant;

pub use self::{
    choose::{ByValue, Choice, Choose, ChosenPermit, ChosenWait},
    keyed::{Cell, InvalidKeyed, Keyed, KeyedHandle, KeyedPermit, KeyedWait},
    shadow::{Shadow, ShadowHandle},
    then::{Then, ThenWait},
    waits_on::WaitsOn,
    when::When,
};
use crate::{Announcement, Outcome, Rejection};

/// What a policy says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<P, W> {
    /// Let it in. The permit comes back through [`Policy::finish`] or [`Policy::revoke`], exactly once.
    Admit(P),
    /// Turn it away. Nothing was spent.
    Reject(Rejection),
    /// Let it wait. The gate polls the wait with [`Policy::poll_wait`], or gives it up with [`Policy::abandon`].
    Wait(W),
}

impl<P, W> Verdict<P, W> {
    /// The same verdict with another permit.
    #[inline]
    pub fn map<Q>(self, permit: impl FnOnce(P) -> Q) -> Verdict<Q, W> {
        match self {
            Self::Admit(held) => Verdict::Admit(permit(held)),
            Self::Reject(rejection) => Verdict::Reject(rejection),
            Self::Wait(wait) => Verdict::Wait(wait),
        }
    }
}

/// Plain, synchronous, clock-free code that admits, refuses or delays requests.
///
/// A policy never touches pinning, bodies, HTTP or cancellation: the [`Gate`](crate::Gate) does, and it calls
/// back exactly once for every permit whatever becomes of the request. All methods take `&self` and may run on
/// several threads at once.
///
/// ```text
/// admit ─► Admit(permit) ─────────────────────────► finish(permit, outcome)   it ran (cancelled half-way included)
///       │                                       └─► revoke(permit)            it never ran: a later policy refused
///       ├► Wait(wait) ─► poll_wait ─► Ok(permit) ─► as above
///       │             │            └► Err(rejection)
///       │             └► abandon(wait)                                        the caller left while waiting
///       └► Reject(rejection)
/// ```
///
/// # Example
///
/// A policy that lets one request in at a time:
///
/// ```
/// use std::{convert::Infallible, sync::atomic::{AtomicBool, Ordering::{AcqRel, Release}}};
/// use plimsoll_core::{Kind, Outcome, Policy, Rejection, Verdict};
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
/// Run the checks of `test_kit` (feature `test-kit`) on every policy of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy for requests of type `{Req}`",
    label = "this is not a `Policy<{Req}>`",
    note = "a gate takes a policy, or a tuple of up to eight: `GateLayer::new((rate, concurrency))`",
    note = "layers such as `RateLimitLayer` are not policies: stack them with `.layer(..)`, or fuse the policies inside them",
    note = "a `Keyed` policy needs a key that can be read from this request type"
)]
pub trait Policy<Req>: Send + Sync {
    /// What an admitted request holds until it ends. Plain data: no `Arc`, no `Drop`.
    type Permit: Send + 'static;
    /// A place in a queue, or [`Infallible`] for policies that decide at once.
    type Wait: Send;

    /// Decides on one request. A try: it neither blocks nor sleeps, and a refusal has spent nothing.
    ///
    /// `now` is the moment of the call. The request may be marked (extensions, headers) but is otherwise
    /// the inner service's.
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait>;

    /// Asks whether the wait is over. `Pending` only after the waker in `cx` was registered.
    ///
    /// Once this has answered `Ready`, the wait is spent: it is neither polled nor abandoned again.
    ///
    /// # Errors
    ///
    /// The rejection, when the wait ended badly (too long, pushed out). Nothing is held any more.
    fn poll_wait(
        &self,
        wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>>;

    /// The caller went away at `now`, while waiting, perhaps just after the wait was granted: gives back whatever the
    /// wait held.
    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant);

    /// The request ran, and this is how it went.
    fn finish(&self, permit: Self::Permit, outcome: &Outcome);

    /// The request never ran: gives everything back, as if it had not been asked for.
    ///
    /// `admitted` is the `now` of the [`admit`](Self::admit) that the permit came from (be it through a wait), and the
    /// request was given up at `now`. In a stack that decides at once they are equal.
    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant);

    /// Whether `finish` asks for [`Outcome::latency`]. A gate none of whose policies does, and which has no observer,
    /// saves a clock read per call; the latency is then the time to the end of the call. The answer may change
    /// with the settings.
    #[inline]
    fn reads_latency(&self) -> bool {
        true
    }

    /// Whether [`announce`](Self::announce) has something to do. A gate none of whose policies says so does not ask, and need not
    /// keep the head of each response where it can be written to. The answer may change with the settings.
    #[inline]
    fn announces(&self) -> bool {
        true
    }

    /// Tells an accepted caller what it should know (such as its quota), in the head of its HTTP response, and reads
    /// what the callee said there. Nothing, by default. The permit was admitted at `admitted`; after a wait, when its
    /// call began.
    ///
    /// Asked once more when the response ends with trailers, as gRPC's do, while the permit is still held:
    /// [`in_trailers`](Announcement::in_trailers) tells which it is.
    #[inline]
    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        _ = (permit, admitted, out);
    }

    /// Whether [`body_waits`](Self::body_waits) has something to do.
    ///
    /// `false` by default. A gate none of whose policies watches bodies does not call it. Unlike
    /// [`announces`](Self::announces), the answer never changes.
    #[inline]
    fn watches_bodies(&self) -> bool {
        false
    }

    /// Reports which side the response body waits for, while the permit is held.
    ///
    /// Called with [`WaitsOn::Caller`] when the service has answered (where no body follows, the
    /// permit ends next), and after each frame but the last; with [`WaitsOn::Service`] each time
    /// the body was polled and is pending, and when the permit is [handed over](crate::Handover) to
    /// an upgraded socket. The default does nothing.
    ///
    /// A policy that limits what is in flight uses it to count permits of callers that may have
    /// stopped reading. No later call would tell it: a server that cannot write does not poll the
    /// body, and the permit is inside that body.
    #[inline]
    fn body_waits(&self, permit: &mut Self::Permit, on: WaitsOn) {
        _ = (permit, on);
    }
}

/// The part of a [`Policy`] that one which decides at once does not have: `type Wait = Infallible`, and the two methods
/// about waits that never are. Takes the request type of the `impl` it stands in.
///
/// ```
/// # use std::convert::Infallible;
/// # use plimsoll_core::{Outcome, Policy, Verdict};
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
            fn finish(&self, permit: P::Permit, outcome: &Outcome) {
                (**self).finish(permit, outcome);
            }
            #[inline]
            fn revoke(&self, permit: P::Permit, admitted: Instant, now: Instant) {
                (**self).revoke(permit, admitted, now);
            }
            #[inline]
            fn reads_latency(&self) -> bool {
                (**self).reads_latency()
            }
            #[inline]
            fn announces(&self) -> bool {
                (**self).announces()
            }
            #[inline]
            fn announce(&self, permit: &P::Permit, admitted: Instant, out: &mut Announcement<'_>) {
                (**self).announce(permit, admitted, out);
            }
            #[inline]
            fn watches_bodies(&self) -> bool {
                (**self).watches_bodies()
            }
            #[inline]
            fn body_waits(&self, permit: &mut P::Permit, on: WaitsOn) {
                (**self).body_waits(permit, on);
            }
        }
    )*};
}

forward_policy! {
    "A borrowed policy is the same policy."
    &P;
    "A shared policy is the same policy: two gates that hold one `Arc` share one limit."
    Arc<P>;
}

/// No policy at all: everything is admitted. Useful under a protocol that does more than refuse.
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
    fn reads_latency(&self) -> bool {
        false
    }
    #[inline]
    fn announces(&self) -> bool {
        false
    }
}
