//! `Hedge`: calls the inner service once or twice.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;
use tower_service::Service;

use super::{HedgeFuture, future::Call, shared::Shared};
use crate::{
    answer::ReadAnswer,
    request::{Replay, ReplayRequest},
};

/// The Tower service that sends a request again when its answer is late.
///
/// The inner service receives [`ReplayRequest::Attempt`], as behind [`Retry`](crate::Retry). Inside of
/// a retry layer, both layers wrap the body.
///
/// # Backpressure
///
/// `poll_ready` polls the inner service and reserves nothing else. A hedge is sent when a clone of the
/// inner service becomes ready before the first attempt has answered.
///
/// # Cancellation
///
/// Dropping the response future cancels both attempts. The attempt that loses is dropped when the
/// other one has a good answer.
#[derive(Debug, Clone)]
pub struct Hedge<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Hedge<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, Req> Service<Req> for Hedge<S>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt> + Clone,
    S::Response: ReadAnswer,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgeFuture<S, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        let now = Instant::now();
        let shared = Arc::clone(&self.shared);
        if shared.funds {
            shared.budget.on_request();
        }
        let delay = shared.delay().filter(|_| shared.quiet.is_over(now));
        // Performance: nothing is kept of a request that will not be hedged.
        let mut replay = delay.map(|_| req.keep()).filter(Replay::is_idempotent);
        let delay = delay.filter(|_| replay.is_some());
        let attempt = req.first(shared.replay_limit, replay.as_mut());
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let future = inner.call(attempt);
        let timer = delay.and_then(|delay| now.checked_add(delay));
        let timer = timer.map(tokio::time::sleep_until);
        let call = Call {
            inner,
            replay,
            shared,
            start: now,
            hedge: None,
        };
        HedgeFuture::new(future, timer, call)
    }
}
