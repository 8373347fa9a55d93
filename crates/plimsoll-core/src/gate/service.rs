//! `Gate`: asks the policy, then calls the inner service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;
use tower_service::Service;

use super::{GateFuture, Held, Shared, waiting::Waiting};
use crate::{Policy, Protocol, Rejection, Verdict, key::noted};

/// The Tower service that asks a policy about each request and ends every permit exactly once.
///
/// # Shared state and cloning
///
/// Clones, and all gates of one [`GateLayer`](crate::GateLayer), share the policy. A clone holds no
/// permit and no place in a queue of the original.
///
/// # Backpressure or rejection
///
/// `poll_ready` polls the inner service and reserves nothing; the decision is made in `call`.
/// `Pending` means that the inner service is not ready, never that the gate is full. A handle that
/// is readied and dropped has spent nothing.
///
/// A request that is queued drops the readied inner service, so it holds no place downstream while
/// it is queued, and readies a clone once it is admitted.
///
/// # Cancellation
///
/// Dropping the response future, or the response body before its end, ends the permit as
/// [`Class::Cancelled`](crate::Class::Cancelled). A queued request leaves its queue.
pub struct Gate<S, P, T> {
    inner: S,
    shared: Arc<Shared<P, T>>,
}

impl<S, P, T> Gate<S, P, T> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<P, T>>) -> Self {
        Self { inner, shared }
    }

    /// Returns the policy. Its state can be read and its settings changed at any time.
    pub fn policy(&self) -> &P {
        &self.shared.policy
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service and drops the gate.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, P, T, Req> Service<Req> for Gate<S, P, T>
where
    S: Service<Req> + Clone,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    type Response = T::Response<Held<P, T, Req>>;
    type Error = T::Error;
    type Future = GateFuture<S, P, T, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(T::inner_error)
    }

    #[inline]
    fn call(&mut self, mut req: Req) -> Self::Future {
        let now = Instant::now();
        let noted = noted();
        match self.shared.policy.admit(&mut req, now) {
            Verdict::Admit(permit) => {
                let held = Held::running(Arc::clone(&self.shared), permit, now, noted);
                let call = self.shared.protocol.begin(&req);
                GateFuture::running(self.inner.call(req), held, call)
            }
            Verdict::Reject(rejection) => self.reject(&req, &rejection, noted),
            Verdict::Wait(wait) => self.queue(req, wait, now, noted),
        }
    }
}

/// Performance: rare paths are out of line, so that `call` is short enough to be inlined
/// (`instructions`, `gate@accept`).
impl<S, P, T> Gate<S, P, T> {
    #[cold]
    #[inline(never)]
    fn reject<Req>(&self, req: &Req, rejection: &Rejection, noted: u32) -> GateFuture<S, P, T, Req>
    where
        S: Service<Req>,
        P: Policy<Req> + 'static,
        T: Protocol<Req, S::Response, S::Error>,
        Req: 'static,
    {
        self.shared.observer.report_missing_key(noted);
        GateFuture::answered(self.shared.reject::<S, Req>(req, rejection))
    }

    #[cold]
    #[inline(never)]
    fn queue<Req>(
        &mut self,
        req: Req,
        wait: P::Wait,
        now: Instant,
        noted: u32,
    ) -> GateFuture<S, P, T, Req>
    where
        S: Service<Req> + Clone,
        P: Policy<Req> + 'static,
        T: Protocol<Req, S::Response, S::Error>,
        Req: 'static,
    {
        self.shared.observer.report_missing_key(noted);
        // Dropping the readied service releases what `poll_ready` reserved.
        let fresh = self.inner.clone();
        drop(std::mem::replace(&mut self.inner, fresh.clone()));
        let shared = Arc::clone(&self.shared);
        GateFuture::waiting(Waiting::new(shared, fresh, req, wait, now))
    }
}

impl<S: Clone, P, T> Clone for Gate<S, P, T> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug, P: fmt::Debug, T> fmt::Debug for Gate<S, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("inner", &self.inner)
            .field("policy", &self.shared.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tonic")]
impl<S: tonic::server::NamedService, P, T> tonic::server::NamedService for Gate<S, P, T> {
    const NAME: &'static str = S::NAME;
}
