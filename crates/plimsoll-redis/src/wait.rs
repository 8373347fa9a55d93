//! A request that waits for the answer to its question.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use plimsoll_circuit_breaker::CircuitBreakerPermit;
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

use crate::{answer::Answer, digest::Digest, failed::Failed};

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
        breaker: Option<CircuitBreakerPermit>,
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
        breaker: CircuitBreakerPermit,
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

    /// Polls for the answer, until the deadline.
    pub(crate) fn poll_answer(
        self: Pin<&mut Self>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Answer> {
        let mut this = self.project();
        // First the answer, then the timer: both have the waker before this returns `Pending`.
        Poll::Ready(match Pin::new(&mut *this.answer).poll(cx) {
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
        })
    }

    /// Ends the wait: returns an answer that has arrived by now. A later one returns to its sender.
    pub(crate) fn end(self: Pin<&mut Self>) -> Answer {
        close(self.project().answer)
    }

    /// The breaker's permit, once.
    pub(crate) fn take_breaker(self: Pin<&mut Self>) -> Option<CircuitBreakerPermit> {
        self.project().breaker.take()
    }

    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// Closes the channel: an answer is either received now, or returned to its sender.
fn close(answer: &mut oneshot::Receiver<Answer>) -> Answer {
    answer.close();
    answer.try_recv().unwrap_or(Err(Failed::Timeout))
}
