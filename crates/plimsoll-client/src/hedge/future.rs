//! The response future: two attempts, of which the first good answer counts.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderName, StatusCode};
use pin_project_lite::pin_project;
use plimsoll_core::{Rejection, wire::REJECTED_BY};
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use super::shared::Shared;
use crate::{
    RetryHint,
    answer::ReadAnswer,
    budget::Taken,
    request::{Replay, ReplayRequest},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Longest hint for which hedges are suppressed.
const LONGEST_HINT: std::time::Duration = std::time::Duration::from_secs(60);

pin_project! {
    /// The response future of a [`Hedge`](crate::Hedge).
    pub struct HedgeFuture<S, Req>
    where
        Req: ReplayRequest,
        S: Service<Req::Attempt>,
    {
        // `None` after it has failed.
        #[pin]
        first: Option<S::Future>,
        #[pin]
        second: Option<S::Future>,
        #[pin]
        timer: Option<Sleep>,
        // A bad answer, while the other attempt may have a better one.
        fallback: Option<Result<S::Response, S::Error>>,
        call: Call<S, Req::Replay>,
    }
}

/// What a call keeps for a second attempt.
pub(super) struct Call<S, R> {
    pub(super) inner: S,
    /// `None`: the request can be sent once only.
    pub(super) replay: Option<R>,
    pub(super) shared: Arc<Shared>,
    pub(super) start: Instant,
    /// The budget's permission, while the inner service is not ready.
    pub(super) hedge: Option<Taken>,
}

/// Returns a hedge that was not sent to the budget.
impl<S, R> Drop for Call<S, R> {
    fn drop(&mut self) {
        self.put_back();
    }
}

impl<S, Req> HedgeFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
{
    #[inline]
    pub(super) fn new(first: S::Future, timer: Option<Sleep>, call: Call<S, Req::Replay>) -> Self {
        Self {
            first: Some(first),
            second: None,
            timer,
            fallback: None,
            call,
        }
    }
}

impl<S, Req> Future for HedgeFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
    S::Response: ReadAnswer,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(first) = this.first.as_mut().as_pin_mut() {
            if let Poll::Ready(result) = first.poll(cx) {
                this.first.set(None);
                let is_good = this.call.shared.read(&result);
                // Without a second attempt there is nothing to wait for.
                if is_good || this.second.is_none() {
                    if is_good {
                        this.call.measure(&result);
                    }
                    this.second.set(None);
                    return Poll::Ready(result);
                }
                *this.fallback = Some(result);
            }
        }
        if this.second.is_none() {
            if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
                this.timer.set(None);
                this.call.hedge = this.call.permission();
            }
            if this.call.hedge.is_none() {
                return Poll::Pending;
            }
            if ready!(this.call.inner.poll_ready(cx)).is_err() {
                // The first attempt decides.
                this.call.put_back();
                return Poll::Pending;
            }
            let Some(attempt) = this.call.again() else {
                this.call.put_back();
                return Poll::Pending;
            };
            // Spent: the attempt is sent.
            this.call.hedge = None;
            this.call.shared.hedges.add();
            let second = this.call.inner.call(attempt);
            this.second.set(Some(second));
        }
        let Some(second) = this.second.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let result = ready!(second.poll(cx));
        let is_good = this.call.shared.read(&result);
        if is_good && this.first.is_some() {
            this.call.shared.won.add();
            // The first attempt would have taken longer: it counts as what it took until now.
            this.call.measure(&result);
        }
        if is_good || this.first.is_none() {
            this.first.set(None);
            this.second.set(None);
            // Of two bad answers the later one is returned.
            return Poll::Ready(result);
        }
        // The first attempt is still running, and no third one is sent.
        this.second.set(None);
        this.timer.set(None);
        *this.fallback = Some(result);
        Poll::Pending
    }
}

impl<S, R> Call<S, R> {
    fn put_back(&mut self) {
        if let Some(taken) = self.hedge.take() {
            self.shared.budget.put_back(taken);
        }
    }
}

impl<S, R: Replay> Call<S, R> {
    fn again(&mut self) -> Option<R::Attempt> {
        self.replay.as_mut()?.again(|_| {})
    }

    /// Returns the permission for a hedge.
    fn permission(&self) -> Option<Taken> {
        let now = Instant::now();
        let shared = &self.shared;
        if !self.replay.as_ref().is_some_and(Replay::is_complete) || !shared.quiet.is_over(now) {
            return None;
        }
        shared.budget.take(now)
    }

    /// Counts the latency of a good answer, and a success for the budget.
    fn measure<A: ReadAnswer, E>(&self, result: &Result<A, E>) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.start);
        self.shared.latency.count(took, now);
        let is_success = |answer: &A| answer.status().as_u16() < 400;
        if self.shared.funds && result.as_ref().is_ok_and(is_success) {
            self.shared.budget.on_success(|| now);
        }
    }
}

impl Shared {
    /// Reads an answer. Returns whether it is good: whether the callee did its work.
    #[inline]
    fn read<A: ReadAnswer, E>(&self, result: &Result<A, E>) -> bool {
        let Ok(answer) = result else {
            return false;
        };
        // Performance: there is nothing to read in a plain answer (`instructions`, `hedge@accept`).
        let is_plain = answer.headers().is_empty() && answer.extensions().is_empty();
        (is_plain && answer.status() == StatusCode::OK) || self.read_all(answer)
    }

    #[inline(never)]
    fn read_all<A: ReadAnswer>(&self, answer: &A) -> bool {
        let (status, headers) = (answer.status(), answer.headers());
        let is_grpc_error = || {
            let code = headers.get(GRPC_STATUS);
            code.is_some_and(|code| code != "0")
        };
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::SERVICE_UNAVAILABLE
            || headers.contains_key(REJECTED_BY)
            || answer.extensions().get::<Rejection>().is_some();
        if is_busy || is_grpc_error() {
            let hint = match RetryHint::grpc(headers, LONGEST_HINT) {
                RetryHint::None => RetryHint::http(headers, LONGEST_HINT),
                hint => hint,
            };
            if is_busy || hint != RetryHint::None {
                self.quiet.extend(hint, Instant::now());
            }
            return false;
        }
        !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT
    }
}

impl<S, Req> fmt::Debug for HedgeFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture")
            .field("first", &self.first.is_some())
            .field("second", &self.second.is_some())
            .finish_non_exhaustive()
    }
}
