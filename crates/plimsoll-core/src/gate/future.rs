//! The response future: running, queued, or answered without the inner service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Held, Hold as _,
    answer::{AnswerOf, ErrOf, ResOf, polled_again},
    waiting::{Waited, Waiting},
};
use crate::{
    Interests, Policy, Protocol,
    protocol::{Answer, ResponseOf},
};

pin_project! {
    /// The response future of a [`Gate`](crate::Gate).
    ///
    /// Dropping it cancels the call: a running call ends its permit, a queued request leaves its
    /// queue. The permit ends with the call (by default at the end of the body), not when this
    /// future is dropped.
    pub struct GateFuture<S, P, T, Req>
    where
        S: Service<Req>,
        P: Policy<Req>,
        P: 'static,
        T: Protocol<Req, S::Response, S::Error>,
        Req: 'static,
    {
        #[pin]
        state: State<S, P, T, Req>,
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateOwn]
    enum State<S, P, T, Req>
    where
        S: Service<Req>,
        P: Policy<Req>,
        P: 'static,
        T: Protocol<Req, S::Response, S::Error>,
        Req: 'static,
    {
        // The future is declared first, so it is dropped before the permit ends.
        Running { #[pin] future: S::Future, held: Held<P, T, Req>, call: T::Call },
        // Performance: boxed, so that a request that is not queued does not move a large state.
        Waiting { waiting: Pin<Box<Waiting<S, P, T, Req>>> },
        Answering { #[pin] later: T::Later<Held<P, T, Req>> },
        Answered { answer: Option<Result<ResponseOf<S, P, T, Req>, T::Error>> },
        // Nothing is left to drop.
        Over,
    }
}

impl<S, P, T, Req> GateFuture<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    #[inline]
    pub(super) fn running(future: S::Future, held: Held<P, T, Req>, call: T::Call) -> Self {
        Self {
            state: State::Running { future, held, call },
        }
    }

    #[inline]
    pub(super) fn answered(answer: AnswerOf<S, P, T, Req>) -> Self {
        Self {
            state: State::from_answer(answer),
        }
    }

    pub(super) fn waiting(waiting: Waiting<S, P, T, Req>) -> Self {
        Self {
            state: State::Waiting {
                waiting: Box::pin(waiting),
            },
        }
    }
}

impl<S, P, T, Req> State<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    #[inline]
    fn from_answer(answer: AnswerOf<S, P, T, Req>) -> Self {
        match answer {
            Answer::Now(answer) => Self::Answered {
                answer: Some(answer),
            },
            Answer::Later(later) => Self::Answering { later },
        }
    }
}

impl<S, P, T, Req> Future for GateFuture<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    type Output = Result<ResponseOf<S, P, T, Req>, T::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Waiting { .. } = self.state {
            ready!(self.as_mut().poll_waiting(cx));
        }
        let mut state = self.as_mut().project().state;
        if let StateProj::Running { future, held, .. } = state.as_mut().project() {
            let unwinding = SettleOnUnwind(held);
            let polled = future.poll(cx);
            std::mem::forget(unwinding);
            let mut result = ready!(polled);
            held.head();
            T::received(held, &mut result);
            // The inner future is dropped first, then the permit moves on to the body.
            if let StateOwn::Running { held, call, .. } =
                state.as_mut().project_replace(State::Over)
            {
                if held.interests(Interests::ANNOUNCE).announce() {
                    return self.complete_announcing(held, call, result, cx);
                }
                match T::complete(held, call, result) {
                    Answer::Now(answer) => return Poll::Ready(answer),
                    Answer::Later(later) => state.set(State::Answering { later }),
                }
            }
        }
        self.poll_answer(cx)
    }
}

/// Performance: rare paths are out of line, so that `poll` is short enough to be inlined.
impl<S, P, T, Req> GateFuture<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    /// Polls the queue. Ready when the request is no longer queued and the state has changed.
    #[cold]
    #[inline(never)]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.project().state;
        if let StateProj::Waiting { waiting } = state.as_mut().project() {
            let next = match ready!(waiting.as_mut().poll(cx)) {
                Waited::Called(future, held, call) => State::Running { future, held, call },
                Waited::Answer(answer) => State::from_answer(answer),
            };
            state.set(next);
        }
        Poll::Ready(())
    }

    /// Performance: out of line, so the common path never writes to the response head; saves one
    /// move of the response (`instructions`, `gate@accept`).
    #[inline(never)]
    fn complete_announcing(
        mut self: Pin<&mut Self>,
        held: Held<P, T, Req>,
        call: T::Call,
        result: Result<ResOf<S, Req>, ErrOf<S, Req>>,
        cx: &mut Context<'_>,
    ) -> Poll<<Self as Future>::Output> {
        match T::complete(held, call, result) {
            Answer::Now(answer) => return Poll::Ready(answer),
            Answer::Later(later) => self
                .as_mut()
                .project()
                .state
                .set(State::Answering { later }),
        }
        self.poll_answer(cx)
    }

    /// Polls an answer that does not come from the inner future.
    #[inline(never)]
    fn poll_answer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let mut state = self.project().state;
        match state.as_mut().project() {
            StateProj::Answering { later } => later.poll(cx),
            StateProj::Answered { answer } => match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => polled_again(),
            },
            StateProj::Over | StateProj::Running { .. } | StateProj::Waiting { .. } => {
                polled_again()
            }
        }
    }
}

/// Ends the permit as a failure when the inner future panics, even if the caller keeps this future.
struct SettleOnUnwind<'a, P: Policy<Req>, T, Req>(&'a mut Held<P, T, Req>);

impl<P: Policy<Req>, T, Req> Drop for SettleOnUnwind<'_, P, T, Req> {
    #[cold]
    fn drop(&mut self) {
        self.0.cut_off();
    }
}

impl<S, P, T, Req> fmt::Debug for GateFuture<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Running { .. } => "Running",
            State::Waiting { .. } => "Waiting",
            State::Answering { .. } => "Answering",
            State::Answered { .. } => "Answered",
            State::Over => "Over",
        };
        f.debug_tuple("GateFuture").field(&state).finish()
    }
}
