//! A request whose question is on its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use plimsoll_circuit_breaker::BreakerPermit;
use plimsoll_core::{Policy, Rejection};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    digest::Digest,
    engine::Engine,
    job::{Answer, Failed},
    permit::Held,
    script::Reply,
};

pin_project! {
    /// A request that waits for Redis, no longer than the deadline.
    ///
    /// The gate polls it, or gives it up. Its timer is made when it first has to wait.
    #[derive(Debug)]
    pub struct RedisWait {
        answer: oneshot::Receiver<Answer>,
        digest: Digest,
        cost: u32,
        // Taken when the wait is over.
        breaker: Option<BreakerPermit>,
        until: Instant,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl RedisWait {
    pub(crate) fn new(
        answer: oneshot::Receiver<Answer>,
        digest: Digest,
        cost: u32,
        breaker: BreakerPermit,
        until: Instant,
    ) -> Self {
        Self {
            answer,
            digest,
            cost,
            breaker: Some(breaker),
            until,
            timer: None,
        }
    }

    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }

    pub(crate) fn poll(
        self: Pin<&mut Self>,
        engine: &Engine,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Held, Rejection>> {
        let mut this = self.project();
        // First the answer, then the timer: both have the waker before this is `Pending`.
        let answer = match Pin::new(&mut *this.answer).poll(cx) {
            Poll::Ready(answer) => answer.unwrap_or(Err(Failed::Lost)),
            Poll::Pending if now < *this.until => {
                if this.timer.is_none() {
                    this.timer.set(Some(sleep_until(*this.until)));
                }
                if let Some(timer) = this.timer.as_mut().as_pin_mut()
                    && timer.poll(cx).is_pending()
                {
                    return Poll::Pending;
                }
                last_look(this.answer)
            }
            Poll::Pending => last_look(this.answer),
        };
        if let Some(breaker) = this.breaker.take() {
            let well = matches!(answer, Ok(Reply::Granted { .. } | Reply::Refused { .. }));
            engine.heard(breaker, well, now);
        }
        Poll::Ready(engine.decide(answer, *this.digest, *this.cost, now))
    }

    /// Nobody waits any more. What was granted by now goes back; what is granted later comes back by itself.
    pub(crate) fn abandon(self: Pin<&mut Self>, engine: &Engine, now: Instant) {
        let this = self.project();
        if let Some(breaker) = this.breaker.take() {
            Policy::<()>::revoke(&engine.breaker, breaker, now, now);
        }
        if let Ok(Reply::Granted { count, at, .. }) = last_look(this.answer) {
            engine.give_back(*this.digest, count, at);
        }
    }
}

/// Closes the channel: an answer is either here now, or goes back to the one who gives it.
fn last_look(answer: &mut oneshot::Receiver<Answer>) -> Answer {
    answer.close();
    answer.try_recv().unwrap_or(Err(Failed::Timeout))
}
