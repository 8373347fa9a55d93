//! The response future: an attempt, a wait, the next attempt.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Extensions, HeaderMap, StatusCode};
use pin_project_lite::pin_project;
use plimsoll_core::protocol::BoxError;
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use super::{
    decide::{Attempts, Next, Situation, next},
    handle::Shared,
    plan::Plan,
    reading::{self, Failed, Ran, Reading},
    settings::GRPC_MOST,
};
use crate::{
    RetryHint, TimedOut,
    answer::{PeekAnswer, ReadAnswer},
    budget::Taken,
    request::{Replay, ReplayRequest},
};

/// Bytes of a failed answer that are read before its retry, so that its connection can be reused.
/// 16 KiB: more than the error pages of most services; a longer one closes its connection.
/// `a_connection_is_reused_after_a_failed_answer` fails when it is zero.
const DISCARDED: usize = 16 * 1024;

pin_project! {
    /// The response future of a [`Retry`](crate::Retry).
    pub struct RetryFuture<S, Req>
    where
        Req: ReplayRequest,
        S: Service<Req::Attempt>,
        S::Response: ReadAnswer,
    {
        #[pin]
        state: State<S::Future, <S::Response as ReadAnswer>::Peek>,
        // Ends an attempt that is not ready at once, or a wait.
        #[pin]
        timer: Option<Sleep>,
        call: Call<S, Req::Replay>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, P> {
        Calling { #[pin] future: F },
        // Performance: boxed, since few calls come here, and a smaller state costs less to drop
        // (`instructions`, `retry@accept`).
        Reading { peek: Option<Box<P>> },
        Waiting { discarded: Option<Box<P>> },
        Readying,
        Over,
    }
}

/// What a call keeps between its attempts.
pub(super) struct Call<S, R> {
    pub(super) inner: S,
    pub(super) replay: R,
    pub(super) shared: Arc<Shared>,
    pub(super) plan: Plan,
    pub(super) attempts: Attempts,
    /// The budget's permission for the retry that is waited for.
    pub(super) retry: Option<Taken>,
}

/// Returns a retry that was not sent to the budget.
impl<S, R> Drop for Call<S, R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(taken) = self.retry.take() {
            self.shared.budget.put_back(taken);
        }
    }
}

impl<S, Req> RetryFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
    S::Response: ReadAnswer,
{
    #[inline(always)]
    #[allow(clippy::inline_always)] // Performance: the state is built in its place.
    pub(super) fn calling(future: S::Future, call: Call<S, Req::Replay>) -> Self {
        Self {
            state: State::Calling { future },
            timer: None,
            call,
        }
    }
}

type Output<S, Req> = Result<
    <<S as Service<<Req as ReplayRequest>::Attempt>>::Response as ReadAnswer>::Output,
    BoxError,
>;

impl<S, Req> Future for RetryFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
    S::Response: ReadAnswer,
    S::Error: Into<BoxError>,
{
    type Output = Output<S, Req>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        if let StateProj::Calling { future } = this.state.project() {
            let Poll::Ready(result) = future.poll(cx) else {
                if this.call.plan.ends.is_none() {
                    return Poll::Pending;
                }
                ready!(self.as_mut().poll_timeout(cx))?;
                return self.poll_slowly(cx);
            };
            // Performance: a success at the head is the usual case.
            if let Ok(answer) = &result {
                let (status, headers) = (answer.status(), answer.headers());
                let extensions = answer.extensions();
                if this.call.is_success(status, headers, extensions) {
                    this.call.succeeded();
                    return Poll::Ready(result.map(ReadAnswer::into_output).map_err(Into::into));
                }
            }
            return self.answered(result, cx);
        }
        self.poll_slowly(cx)
    }
}

/// Performance: everything but the first success is out of line.
impl<S, Req> RetryFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
    S::Response: ReadAnswer,
    S::Error: Into<BoxError>,
{
    /// The attempt has an answer that is not a success at its head.
    #[cold]
    #[inline(never)]
    fn answered(
        mut self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
        cx: &mut Context<'_>,
    ) -> Poll<Output<S, Req>> {
        let mut this = self.as_mut().project();
        let rules = &this.call.shared.rules;
        match result {
            Err(error) => {
                let error: BoxError = error.into();
                let read = reading::error(rules, &*error);
                match this.call.decide(read) {
                    None => {
                        this.state.set(State::Over);
                        return Poll::Ready(Err(error));
                    }
                    Some(wait) => {
                        this.timer.set(Some(wait));
                        this.state.set(State::Waiting { discarded: None });
                    }
                }
            }
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers());
                match reading::head(rules, status, headers, answer.extensions()) {
                    None => {
                        let limit = rules.unary_limit.unwrap_or(0);
                        let peek = Some(Box::new(answer.peek(limit)));
                        this.state.set(State::Reading { peek });
                    }
                    Some(read) => match this.call.decide(read) {
                        None => {
                            this.state.set(State::Over);
                            return Poll::Ready(Ok(answer.into_output()));
                        }
                        Some(wait) => {
                            this.timer.set(Some(wait));
                            let discarded = Some(Box::new(answer.peek(DISCARDED)));
                            this.state.set(State::Waiting { discarded });
                        }
                    },
                }
            }
        }
        self.poll_slowly(cx)
    }

    #[inline(never)]
    fn poll_slowly(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output<S, Req>> {
        loop {
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                StateProj::Calling { future } => match future.poll(cx) {
                    Poll::Ready(result) => return self.answered(result, cx),
                    Poll::Pending => ready!(self.as_mut().poll_timeout(cx))?,
                },
                StateProj::Reading { peek } => {
                    let Some(mut read) = peek.take() else {
                        return Poll::Pending;
                    };
                    if read.poll_end(cx).is_pending() {
                        *peek = Some(read);
                        ready!(self.as_mut().poll_timeout(cx))?;
                        continue;
                    }
                    let rules = &this.call.shared.rules;
                    let reading =
                        reading::end(rules, read.status(), read.headers(), read.trailers());
                    match this.call.decide(reading) {
                        None => {
                            this.state.set(State::Over);
                            return Poll::Ready(Ok(read.into_output()));
                        }
                        Some(wait) => {
                            this.timer.set(Some(wait));
                            this.state.set(State::Waiting { discarded: None });
                        }
                    }
                }
                StateProj::Waiting { discarded } => {
                    if let Some(answer) = discarded {
                        if answer.poll_end(cx).is_ready() {
                            *discarded = None;
                        }
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(cx));
                    }
                    let end = this.call.plan.deadline.map(tokio::time::sleep_until);
                    this.timer.set(end);
                    this.state.set(State::Readying);
                }
                StateProj::Readying => {
                    let readied = this.call.inner.poll_ready(cx);
                    if readied.is_pending() {
                        // Only the deadline: the next attempt has not started.
                        let Some(timer) = this.timer.as_mut().as_pin_mut() else {
                            return Poll::Pending;
                        };
                        ready!(timer.poll(cx));
                        this.state.set(State::Over);
                        return Poll::Ready(Err(TimedOut::Deadline.into()));
                    }
                    if let Poll::Ready(Err(error)) = readied {
                        this.state.set(State::Over);
                        return Poll::Ready(Err(error.into()));
                    }
                    let now = Instant::now();
                    let Some(attempt) = this.call.again(now) else {
                        this.state.set(State::Over);
                        return Poll::Ready(Err(TimedOut::Deadline.into()));
                    };
                    let timeout = this.call.shared.rules.attempt_timeout;
                    this.call.plan.start(now, timeout);
                    this.timer.set(None);
                    let future = this.call.inner.call(attempt);
                    this.state.set(State::Calling { future });
                }
                StateProj::Over => return Poll::Pending,
            }
        }
    }

    /// Polls the timer of an attempt in flight. When it has fired, the attempt is dropped: `Ok` when
    /// another one is waited for.
    fn poll_timeout(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut this = self.as_mut().project();
        let Some(end) = this.call.plan.ends else {
            return Poll::Pending;
        };
        if this.timer.is_none() {
            this.timer.set(Some(tokio::time::sleep_until(end)));
        }
        if let Some(timer) = this.timer.as_mut().as_pin_mut() {
            ready!(timer.poll(cx));
        }
        let failed = Failed {
            ran: Ran::Maybe,
            hint: RetryHint::None,
        };
        let over = this
            .call
            .plan
            .deadline
            .is_some_and(|end| end <= Instant::now());
        // The attempt is cancelled before the next one is decided.
        this.state.set(State::Over);
        match this.call.decide(Reading::Failed(failed)) {
            Some(wait) => {
                this.timer.set(Some(wait));
                this.state.set(State::Waiting { discarded: None });
                Poll::Ready(Ok(()))
            }
            None if over => Poll::Ready(Err(TimedOut::Deadline.into())),
            None => Poll::Ready(Err(TimedOut::Attempt.into())),
        }
    }
}

impl<S, R: Replay> Call<S, R> {
    /// Whether the head of an answer shows a success.
    #[inline]
    fn is_success(&self, status: StatusCode, headers: &HeaderMap, set: &Extensions) -> bool {
        if reading::is_plain_success(status, headers, set) {
            return true;
        }
        self.is_success_by_rules(status, headers, set)
    }

    #[inline(never)]
    fn is_success_by_rules(&self, status: StatusCode, all: &HeaderMap, set: &Extensions) -> bool {
        reading::head(&self.shared.rules, status, all, set) == Some(Reading::Success)
    }

    #[inline]
    fn succeeded(&self) {
        self.shared.budget.on_success(Instant::now);
        if let Some(start) = self.plan.started {
            self.measure(start);
        }
    }

    #[inline(never)]
    fn measure(&self, start: Instant) {
        if self.plan.deadline.is_some() {
            self.shared.fastest.success(start, Instant::now());
        }
    }

    /// Counts the end of an attempt. Returns the wait before the next one, `None` when the call ends.
    fn decide(&mut self, read: Reading) -> Option<Sleep> {
        let failed = match read {
            Reading::Success => {
                self.succeeded();
                return None;
            }
            Reading::Final => return None,
            Reading::Failed(failed) => failed,
        };
        let Shared {
            rules,
            budget,
            fastest,
            too_late,
            ..
        } = &*self.shared;
        let now = Instant::now();
        self.attempts.count(failed.ran);
        let left = self
            .plan
            .deadline
            .map(|end| end.saturating_duration_since(now));
        let max_attempts = if self.plan.stated.is_grpc {
            rules.max_attempts.min(GRPC_MOST)
        } else {
            rules.max_attempts
        };
        let situation = Situation {
            max_attempts,
            is_idempotent: rules.every_method || self.replay.is_idempotent(),
            left,
            needed: rules.least_time.max(fastest.get(now)),
        };
        let decided = next(rules, &self.attempts, &situation, failed, fastrand::f64());
        let Next::Retry { after, restarts } = decided else {
            if left.is_some_and(|left| left <= situation.needed) {
                too_late.add();
            }
            if !failed.ran.is_free() {
                budget.failure_without_retry();
            }
            return None;
        };
        if !self.replay.stop() {
            if !failed.ran.is_free() {
                budget.failure_without_retry();
            }
            return None;
        }
        if !failed.ran.is_free() {
            self.retry = Some(budget.take_failure(now)?);
        }
        let attempts = &mut self.attempts;
        attempts.waited = after;
        attempts.backoffs = if restarts {
            0
        } else {
            attempts.backoffs.saturating_add(1)
        };
        // A wait beyond the clock's range cannot end: hints are at most a day.
        Some(tokio::time::sleep_until(now.checked_add(after)?))
    }

    /// Makes the next attempt. `None` when no time is left.
    fn again(&mut self, now: Instant) -> Option<R::Attempt> {
        let left = self
            .plan
            .deadline
            .map(|end| end.saturating_duration_since(now));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let (stated, earlier) = (self.plan.stated, self.attempts.all());
        let header = self.shared.rules.attempt_header.as_ref();
        let attempt = self
            .replay
            .again(|headers| stated.write(headers, left, earlier, header))?;
        self.shared.retries.add();
        if self.retry.take().is_none() {
            self.shared.free.add();
        }
        Some(attempt)
    }
}

impl<S, Req> fmt::Debug for RetryFuture<S, Req>
where
    Req: ReplayRequest,
    S: Service<Req::Attempt>,
    S::Response: ReadAnswer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Calling { .. } => "Calling",
            State::Reading { .. } => "Reading",
            State::Waiting { .. } => "Waiting",
            State::Readying => "Readying",
            State::Over => "Over",
        };
        f.debug_tuple("RetryFuture").field(&state).finish()
    }
}
