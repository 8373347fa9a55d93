//! A request that waits for the answer to its question.

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
    /// A request that waits for Redis, at most until the deadline.
    ///
    /// The gate polls it or abandons it. Its timer is created at the first poll that is pending.
    #[derive(Debug)]
    pub struct RedisWait {
        answer: oneshot::Receiver<Answer>,
        digest: Digest,
        cost: u32,
        // Taken when the wait ends.
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
        // First the answer, then the timer: both have the waker before this returns `Pending`.
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
                close(this.answer)
            }
            Poll::Pending => close(this.answer),
        };
        if let Some(breaker) = this.breaker.take() {
            let success = matches!(answer, Ok(Reply::Granted { .. } | Reply::Rejected { .. }));
            engine.report(breaker, success, now);
        }
        Poll::Ready(engine.decide(answer, *this.digest, *this.cost, now))
    }

    /// Cancels the wait. Tokens that were granted by now are refunded here; later grants are
    /// refunded by the task.
    pub(crate) fn abandon(self: Pin<&mut Self>, engine: &Engine, now: Instant) {
        let this = self.project();
        if let Some(breaker) = this.breaker.take() {
            Policy::<()>::revoke(&engine.breaker, breaker, now, now);
        }
        if let Ok(Reply::Granted { count, at, .. }) = close(this.answer) {
            engine.refund(*this.digest, count, at);
        }
    }
}

/// Closes the channel: an answer is either received now, or returned to its sender.
fn close(answer: &mut oneshot::Receiver<Answer>) -> Answer {
    answer.close();
    answer.try_recv().unwrap_or(Err(Failed::Timeout))
}
