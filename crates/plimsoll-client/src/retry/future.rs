//! The response future: an attempt, a wait, the next attempt.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use plimsoll_core::protocol::BoxError;
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use super::{
    decide::{Next, Situation, next},
    handle::Shared,
    later::{Kept, Later},
    plan::Plan,
    reading::{self, Failed, Ran, Reading},
    settings::GRPC_MOST,
};
use crate::{
    RetryHint, TimedOut,
    answer::{PeekAnswer, ReadAnswer},
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
        state: State<S::Future>,
        // Ends an attempt that is not ready at once, or a wait.
        #[pin]
        timer: Option<Sleep>,
        // Performance: beside the call, so that dropping both takes one call less.
        replay: Req::Replay,
        call: Call<S, <S::Response as ReadAnswer>::Peek>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Calling { #[pin] future: F },
        Reading,
        Waiting,
        Readying,
        Over,
    }
}

/// Counts a success when it is dropped. Performance: after the answer was moved to the caller's place;
/// before, it would be moved twice (`instructions`, `retry@accept`).
struct Counted<'a, S, P>(&'a Call<S, P>);

impl<S, P> Drop for Counted<'_, S, P> {
    #[inline]
    fn drop(&mut self) {
        self.0.succeeded();
    }
}

#[inline]
fn is_plain_success<A: ReadAnswer>(answer: &A) -> bool {
    reading::is_plain_success(answer.status(), answer.headers(), answer.extensions())
}

/// What a call keeps between its attempts.
pub(super) struct Call<S, P> {
    pub(super) inner: S,
    pub(super) plan: Plan,
    pub(super) later: Later<P>,
    pub(super) shared: Arc<Shared>,
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
        replay: Req::Replay,
        call: Call<S, <S::Response as ReadAnswer>::Peek>,
    ) -> Self {
        Self {
            state: State::Calling { future },
            timer: None,
            replay,
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
            return match future.poll(cx) {
                // Performance: a plain success is the usual case. It is read in its place: moved out of
                // the poll, it would be copied once more (`instructions`, `retry@accept`).
                Poll::Ready(Ok(answer)) if is_plain_success(&answer) => {
                    let _counted = Counted(this.call);
                    Poll::Ready(Ok(answer.into_output()))
                }
                Poll::Ready(result) => self.checked(result, cx),
                Poll::Pending if this.call.plan.ends().is_none() => Poll::Pending,
                Poll::Pending => {
                    ready!(self.as_mut().poll_timeout(cx))?;
                    self.poll_slowly(cx)
                }
            };
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
    /// The attempt has an answer with headers, or an error.
    // Performance: apart from `answered`, which keeps more on the stack.
    #[inline(never)]
    fn checked(
        mut self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
        cx: &mut Context<'_>,
    ) -> Poll<Output<S, Req>> {
        let call = self.as_mut().project().call;
        match result {
            Ok(answer) if call.is_success(&answer) => {
                let _counted = Counted(call);
                Poll::Ready(Ok(answer.into_output()))
            }
            result => self.answered(result, cx),
        }
    }

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
                match this.call.decide(this.replay, read) {
                    None => {
                        this.state.set(State::Over);
                        return Poll::Ready(Err(error));
                    }
                    Some(wait) => {
                        this.timer.set(Some(wait));
                        this.state.set(State::Waiting);
                    }
                }
            }
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers());
                match reading::head(rules, status, headers, answer.extensions()) {
                    None => {
                        let limit = rules.unary_limit.unwrap_or(0);
                        this.call.read(answer.peek(limit));
                        this.state.set(State::Reading);
                    }
                    Some(read) => match this.call.decide(this.replay, read) {
                        None => {
                            this.state.set(State::Over);
                            return Poll::Ready(Ok(answer.into_output()));
                        }
                        Some(wait) => {
                            this.timer.set(Some(wait));
                            this.call.read(answer.peek(DISCARDED));
                            this.state.set(State::Waiting);
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
                    Poll::Pending => ready!(self.as_mut().poll_timeout(cx))?,
                    Poll::Ready(result) => return self.checked(result, cx),
                },
                StateProj::Reading => {
                    let rules = &this.call.shared.rules;
                    let Some(read) = this.call.later.peek() else {
                        return Poll::Pending;
                    };
                    if read.poll_end(cx).is_pending() {
                        ready!(self.as_mut().poll_timeout(cx))?;
                        continue;
                    }
                    let reading =
                        reading::end(rules, read.status(), read.headers(), read.trailers());
                    let decided = this.call.decide(this.replay, reading);
                    let read = this.call.later.take_peek();
                    match (decided, read) {
                        (Some(wait), _) => {
                            this.timer.set(Some(wait));
                            this.state.set(State::Waiting);
                        }
                        (None, Some(read)) => {
                            this.state.set(State::Over);
                            return Poll::Ready(Ok(read.into_output()));
                        }
                        (None, None) => return Poll::Pending,
                    }
                }
                StateProj::Waiting => {
                    if let Some(discarded) = this.call.later.peek() {
                        if discarded.poll_end(cx).is_ready() {
                            _ = this.call.later.take_peek();
                        }
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(cx));
                    }
                    let end = this.call.plan.deadline().map(tokio::time::sleep_until);
                    this.timer.set(end);
                    _ = this.call.later.take_peek();
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
                    let Some(attempt) = this.call.again(this.replay, now) else {
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
        let Some(end) = this.call.plan.ends() else {
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
            .deadline()
            .is_some_and(|end| end <= Instant::now());
        // The attempt is cancelled before the next one is decided.
        _ = this.call.later.take_peek();
        this.state.set(State::Over);
        match this.call.decide(this.replay, Reading::Failed(failed)) {
            Some(wait) => {
                this.timer.set(Some(wait));
                this.state.set(State::Waiting);
                Poll::Ready(Ok(()))
            }
            None if over => Poll::Ready(Err(TimedOut::Deadline.into())),
            None => Poll::Ready(Err(TimedOut::Attempt.into())),
        }
    }
}

impl<S, P> Call<S, P> {
    /// Whether the head of an answer shows a success.
    #[inline]
    fn is_success<A: ReadAnswer>(&self, answer: &A) -> bool {
        let (status, headers) = (answer.status(), answer.headers());
        let read = reading::head(&self.shared.rules, status, headers, answer.extensions());
        read == Some(Reading::Success)
    }

    #[inline]
    fn succeeded(&self) {
        self.shared.budget.on_success(Instant::now);
        if !self.plan.is_empty() {
            self.measure();
        }
    }

    #[inline(never)]
    fn measure(&self) {
        let Some(times) = self.plan.times() else {
            return;
        };
        if times.deadline.is_some() {
            let fastest = &self.shared.fastest;
            fastest.success(times.started, Instant::now());
        }
    }

    /// Keeps an answer whose body is read.
    fn read(&mut self, peek: P) {
        self.later.get(&self.shared).peek = Some(peek);
    }

    /// Counts the end of an attempt. Returns the wait before the next one, `None` when the call ends.
    fn decide(&mut self, replay: &mut impl Replay, read: Reading) -> Option<Sleep> {
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
        let later = self.later.get(&self.shared);
        let attempts = &mut later.attempts;
        let now = Instant::now();
        attempts.count(failed.ran);
        let left = self.plan.left(now);
        let max_attempts = if self.plan.stated().is_grpc {
            rules.max_attempts.min(GRPC_MOST)
        } else {
            rules.max_attempts
        };
        let situation = Situation {
            max_attempts,
            is_idempotent: rules.every_method || replay.is_idempotent(),
            left,
            needed: rules.least_time.max(fastest.get(now)),
        };
        let decided = next(rules, attempts, &situation, failed, fastrand::f64());
        let Next::Retry { after, restarts } = decided else {
            if left.is_some_and(|left| left <= situation.needed) {
                too_late.add();
            }
            if !failed.ran.is_free() {
                budget.failure_without_retry();
            }
            return None;
        };
        if !replay.stop() {
            if !failed.ran.is_free() {
                budget.failure_without_retry();
            }
            return None;
        }
        if !failed.ran.is_free() {
            later.retry = Some(budget.take_failure(now)?);
        }
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
    fn again<R: Replay>(&mut self, replay: &mut R, now: Instant) -> Option<R::Attempt> {
        let left = self.plan.left(now);
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let Kept {
            attempts, retry, ..
        } = self.later.get(&self.shared);
        let (stated, earlier) = (self.plan.stated(), attempts.all());
        let header = self.shared.rules.attempt_header.as_ref();
        let attempt = replay.again(|headers| stated.write(headers, left, earlier, header))?;
        self.shared.retries.add();
        if retry.take().is_none() {
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
            State::Reading => "Reading",
            State::Waiting => "Waiting",
            State::Readying => "Readying",
            State::Over => "Over",
        };
        f.debug_tuple("RetryFuture").field(&state).finish()
    }
}
