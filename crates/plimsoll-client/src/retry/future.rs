//! The response future: an attempt, a wait, the next attempt.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use plimsoll_core::protocol::BoxError;
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use super::{
    decide::{Attempts, Next, Situation, next},
    handle::Shared,
    reading::{self, Failed, Ran, Reading},
    stated::Stated,
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
        // Ends an attempt, or a wait.
        #[pin]
        timer: Option<Sleep>,
        call: Call<S, Req::Replay>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, P> {
        Calling { #[pin] future: F },
        Reading { peek: Option<P> },
        Waiting { discarded: Option<P> },
        Readying,
        Over,
    }
}

/// What a call keeps between its attempts.
pub(super) struct Call<S, R> {
    pub(super) inner: S,
    /// `None`: the request can be sent once only.
    pub(super) replay: Option<R>,
    pub(super) shared: Arc<Shared>,
    pub(super) deadline: Option<Instant>,
    /// When the current attempt started, if the clock was read.
    pub(super) started: Option<Instant>,
    pub(super) stated: Stated,
    pub(super) is_idempotent: bool,
    pub(super) max_attempts: u32,
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
    pub(super) fn calling(
        future: S::Future,
        timer: Option<Sleep>,
        call: Call<S, Req::Replay>,
    ) -> Self {
        Self {
            state: State::Calling { future },
            timer,
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
            if let Poll::Ready(result) = future.poll(cx) {
                // Performance: a success at the head is the usual case.
                if let Ok(answer) = &result {
                    let shared = &this.call.shared;
                    let (status, headers) = (answer.status(), answer.headers());
                    let read = reading::head(&shared.rules, status, headers, answer.extensions());
                    if read == Some(Reading::Success) {
                        this.call.succeeded();
                        return Poll::Ready(
                            result.map(ReadAnswer::into_output).map_err(Into::into),
                        );
                    }
                }
                return self.answered(result, cx);
            }
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
                        let peek = Some(answer.peek(limit));
                        this.state.set(State::Reading { peek });
                    }
                    Some(read) => match this.call.decide(read) {
                        None => {
                            this.state.set(State::Over);
                            return Poll::Ready(Ok(answer.into_output()));
                        }
                        Some(wait) => {
                            this.timer.set(Some(wait));
                            let discarded = Some(answer.peek(DISCARDED));
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
                    let end = this.call.deadline.map(tokio::time::sleep_until);
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
                    this.timer.set(timer(now, this.call.deadline, timeout));
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
        let Some(timer) = this.timer.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        ready!(timer.poll(cx));
        let failed = Failed {
            ran: Ran::Maybe,
            hint: RetryHint::None,
        };
        let over = this.call.deadline.is_some_and(|end| end <= Instant::now());
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
    #[inline]
    fn succeeded(&mut self) {
        self.shared.budget.on_success(Instant::now);
        if let (Some(start), Some(_)) = (self.started, self.deadline) {
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
        let left = self.deadline.map(|end| end.saturating_duration_since(now));
        let situation = Situation {
            max_attempts: self.max_attempts,
            is_idempotent: self.is_idempotent,
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
        if !self.replay.as_mut().is_some_and(Replay::stop) {
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
        let left = self.deadline.map(|end| end.saturating_duration_since(now));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let (stated, earlier) = (self.stated, self.attempts.all());
        let header = self.shared.rules.attempt_header.as_ref();
        let replay = self.replay.as_mut()?;
        let attempt = replay.again(|headers| stated.write(headers, left, earlier, header))?;
        self.started = Some(now);
        self.shared.retries.add();
        if self.retry.take().is_none() {
            self.shared.free.add();
        }
        Some(attempt)
    }
}

/// The timer of an attempt that starts now.
pub(super) fn timer(
    now: Instant,
    deadline: Option<Instant>,
    timeout: Option<Duration>,
) -> Option<Sleep> {
    let end = timeout.and_then(|timeout| now.checked_add(timeout));
    let end = [deadline, end].into_iter().flatten().min()?;
    Some(tokio::time::sleep_until(end))
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
