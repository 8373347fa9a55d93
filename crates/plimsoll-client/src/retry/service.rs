//! `Retry`: calls the inner service once or more.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use plimsoll_core::protocol::BoxError;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    RetryFuture,
    decide::Attempts,
    future::{Call, timer},
    handle::Shared,
    settings::GRPC_MOST,
    stated,
};
use crate::{
    answer::ReadAnswer,
    request::{ReplayRequest, is_idempotent},
};

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
        let rules = &self.shared.rules;
        self.shared.budget.on_request(Instant::now);
        let (mut deadline, stated) = stated::deadline(&req, Instant::now);
        // Performance: the clock is read only if a timeout or a deadline is set.
        let timed = rules.attempt_timeout.or(rules.total_timeout);
        let start = (timed.is_some() || deadline.is_some()).then(Instant::now);
        if let (Some(start), Some(total)) = (start, rules.total_timeout) {
            let end = start.checked_add(total);
            deadline = [deadline, end].into_iter().flatten().min();
        }
        let timer = start.and_then(|start| timer(start, deadline, rules.attempt_timeout));
        let is_idempotent = rules.every_method || is_idempotent(&req);
        let max_attempts = if stated.is_grpc {
            rules.max_attempts.min(GRPC_MOST)
        } else {
            rules.max_attempts
        };
        let mut replay = None;
        let attempt = req.record(rules.replay_limit, &mut replay);
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        RetryFuture::calling(
            inner.call(attempt),
            timer,
            Call {
                inner,
                replay,
                shared: Arc::clone(&self.shared),
                deadline,
                started: start,
                stated,
                is_idempotent,
                max_attempts,
                attempts: Attempts::default(),
                retry: None,
            },
        )
    }
}
