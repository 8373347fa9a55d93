//! `Retry`: calls the inner service once or more.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use plimsoll_core::protocol::BoxError;
use tower_service::Service;

use super::{RetryFuture, future::Call, handle::Shared, later::Later, plan::Plan};
use crate::{answer::ReadAnswer, request::ReplayRequest};

/// The Tower service that sends a request again when its call failed.
///
/// The inner service receives [`ReplayRequest::Attempt`]: for HTTP, a request whose body is a
/// [`ReplayBody`](crate::ReplayBody). A client with a body type of its own, as tonic's `Channel`,
/// needs `.map_request(|req: http::Request<_>| req.map(tonic::body::Body::new))` between.
///
/// # Backpressure
///
/// `poll_ready` polls the inner service and reserves nothing else. A retry readies the same clone of
/// the inner service that sent the attempt before.
///
/// # Cancellation
///
/// Dropping the response future cancels the attempt in flight. A retry that was not sent yet is
/// returned to the budget.
///
/// # Errors
///
/// The inner service's error, boxed as tower's layers do, or [`TimedOut`](crate::TimedOut).
#[derive(Debug, Clone)]
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Retry<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, Req> Service<Req> for Retry<S>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt> + Clone,
    S::Response: ReadAnswer,
    S::Error: Into<BoxError>,
{
    type Response = <S::Response as ReadAnswer>::Output;
    type Error = BoxError;
    type Future = RetryFuture<S, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        let shared = &*self.shared;
        // Performance: a request that states nothing has no plan (`instructions`, `retry@accept`).
        if shared.is_plain {
            if let Some(replay) = req.keep_bare() {
                return self.send(req.first(0, None), replay, Plan::default());
            }
        }
        shared.budget.on_request();
        let plan = Plan::new(&shared.rules, &req);
        if req.has_body() {
            return self.send_recorded(req, plan);
        }
        let replay = req.keep();
        self.send(req.first(0, None), replay, plan)
    }
}

impl<S> Retry<S> {
    /// Performance: out of line, since a reference to the replay would keep it from being built in its
    /// place (`instructions`, `retry@accept`).
    #[inline(never)]
    fn send_recorded<Req>(&mut self, req: Req, plan: Plan) -> RetryFuture<S, Req>
    where
        Req: ReplayRequest,
        S: Service<Req::Attempt> + Clone,
        S::Response: ReadAnswer,
    {
        let mut replay = req.keep();
        let attempt = req.first(self.shared.rules.replay_limit, Some(&mut replay));
        self.send(attempt, replay, plan)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // Performance: the future is built in its place.
    fn send<Req>(
        &mut self,
        attempt: Req::Attempt,
        replay: impl Into<Req::Replay>,
        plan: Plan,
    ) -> RetryFuture<S, Req>
    where
        Req: ReplayRequest,
        S: Service<Req::Attempt> + Clone,
        S::Response: ReadAnswer,
    {
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        RetryFuture::calling(
            inner.call(attempt),
            replay.into(),
            Call {
                inner,
                plan,
                later: Later::new(),
                shared: Arc::clone(&self.shared),
            },
        )
    }
}
