//! Chooses one of several policies by the request.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::forward::forward_permit;
use crate::{Interests, Key, Policy, Rejection, Verdict};

/// Asks one of several policies of one type, chosen by the request.
///
/// For plans, tenant classes or kinds of routes with different settings. A request that matches no
/// case is decided by the policy `otherwise`: no request is admitted without a policy.
///
/// ```
/// use plimsoll_core::{Choose, GateLayer, Route};
/// # fn serves<P: plimsoll_core::Policy<http::Request<String>>>(_: GateLayer<P>) {}
/// # let (streams, uploads, requests) = ((), (), ());
/// let cases = [("/events", streams), ("/upload", uploads)];
/// let layer = GateLayer::new(Choose::by(Route::matched(), cases, requests));
/// # serves(layer);
/// ```
///
/// Choose by what the server has established: the route, or what authentication left in the
/// extensions. With a header such as `accept`, which every caller can set, callers choose their own
/// limit.
///
/// Each policy keeps its own state: a caller that moves to another plan starts with a full
/// allowance there.
#[doc(alias("plans", "tiers"))]
#[derive(Clone)]
pub struct Choose<F, P> {
    choice: F,
    policies: Box<[P]>,
    otherwise: P,
}

/// Returns the index of one of several policies. Implemented for closures
/// `Fn(&Req) -> Option<usize>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not choose a policy for a `{Req}`",
    note = "use `Choose::by(key, [(value, policy)], otherwise)`, or a closure `|req: &{Req}| -> Option<usize>`"
)]
pub trait Choice<Req>: Send + Sync {
    /// Returns the index of the policy. `None` or an index out of range selects `otherwise`.
    fn index(&self, req: &Req) -> Option<usize>;
}

impl<Req, F: Fn(&Req) -> Option<usize> + Send + Sync> Choice<Req> for F {
    #[inline]
    fn index(&self, req: &Req) -> Option<usize> {
        self(req)
    }
}

/// Chooses by comparing a key with the values of the cases. Made by [`Choose::by`].
#[derive(Debug, Clone)]
pub struct ByValue<K, V> {
    key: K,
    values: Box<[V]>,
}

impl<Req, K, V> Choice<Req> for ByValue<K, V>
where
    Req: 'static,
    K: Key<Req> + 'static,
    V: Send + Sync,
    for<'a> K::Key<'a>: PartialEq<V>,
{
    #[inline]
    fn index(&self, req: &Req) -> Option<usize> {
        let key = self.key.key(req)?;
        self.values.iter().position(|value| key == *value)
    }
}

/// The permit of a [`Choose`]: the index of the policy, and its permit.
#[derive(Debug)]
pub struct ChosenPermit<P> {
    index: usize,
    permit: P,
}

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
    /// Asks the policy in `policies` whose index `choice` returns; `otherwise` for `None` or an
    /// index out of range.
    pub fn new(choice: F, policies: impl IntoIterator<Item = P>, otherwise: P) -> Self {
        Self {
            choice,
            policies: policies.into_iter().collect(),
            otherwise,
        }
    }

    /// Returns the policies of the cases, in the order given.
    pub fn get_ref(&self) -> &[P] {
        &self.policies
    }

    /// Returns the policy for requests that match no case.
    pub const fn otherwise(&self) -> &P {
        &self.otherwise
    }

    #[inline]
    fn policy(&self, index: usize) -> &P {
        self.policies.get(index).unwrap_or(&self.otherwise)
    }

    fn all(&self) -> impl Iterator<Item = &P> {
        self.policies.iter().chain([&self.otherwise])
    }
}

impl<K, V, P> Choose<ByValue<K, V>, P> {
    /// Asks the policy of the first case whose value equals the request's `key`. Requests without a
    /// key, or with a key that equals no value, get `otherwise`.
    ///
    /// ```
    /// use plimsoll_core::{Choose, GateLayer};
    /// # fn serves<P: plimsoll_core::Policy<http::Request<String>>>(_: GateLayer<P>) {}
    /// # let (free, pro) = ((), ());
    /// #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    /// enum Plan { Free, Pro } // left in the extensions by authentication
    ///
    /// let plan = |req: &http::Request<String>| req.extensions().get::<Plan>().copied();
    /// let layer = GateLayer::new(Choose::by(plan, [(Plan::Pro, pro)], free));
    /// # _ = Plan::Free;
    /// # serves(layer);
    /// ```
    pub fn by(key: K, cases: impl IntoIterator<Item = (V, P)>, otherwise: P) -> Self {
        let (values, policies): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let choice = ByValue {
            key,
            values: values.into(),
        };
        Self::new(choice, policies, otherwise)
    }
}

impl<F, P: fmt::Debug> fmt::Debug for Choose<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choose")
            .field("policies", &self.policies)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}

impl<Req, F, P> Policy<Req> for Choose<F, P>
where
    F: Choice<Req>,
    P: Policy<Req>,
{
    type Permit = ChosenPermit<P::Permit>;
    type Wait = ChosenWait<P::Wait>;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        let index = self.choice.index(req).unwrap_or(usize::MAX);
        match self.policy(index).admit(req, now) {
            Verdict::Admit(permit) => Verdict::Admit(ChosenPermit { index, permit }),
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
        self.policy(index)
            .poll_wait(wait.wait, req, now, cx)
            .map_ok(|permit| ChosenPermit { index, permit })
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        let wait = wait.project();
        self.policy(*wait.index).abandon(wait.wait, now);
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        self.all()
            .map(|policy| policy.interests(asked))
            .fold(Interests::NONE, Interests::union)
    }

    forward_permit!(
        self, permit: (self.policy(permit.index), permit),
        (policy, ChosenPermit { permit, .. }) => policy, permit
    );
}
