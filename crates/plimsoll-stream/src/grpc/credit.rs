//! `request(n)`: credit that a client sends, and a stream that spends it.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use futures_core::Stream;
use tonic::Status;

/// The number of messages that a client has requested and that were not sent yet.
///
/// A message of the client [adds](Self::request) to it, and a [gate](Self::gate) spends it. Clones
/// share it. [`credited`](crate::grpc::credited) connects both ends; use this type alone where a
/// task of your own reads the client's stream.
#[derive(Debug, Clone, Default)]
pub struct Credit {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    outstanding: u64,
    cancelled: bool,
    waker: Option<Waker>,
}

/// A request for no message. Nothing has changed.
///
/// As a [`Status`] it is `INVALID_ARGUMENT`: the client breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("request must be at least 1 message, got 0")]
pub struct InvalidCredit;

impl From<InvalidCredit> for Status {
    fn from(error: InvalidCredit) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

impl Credit {
    /// Credit that never runs out: a request for it removes the bound for good.
    pub const UNBOUNDED: u64 = u64::MAX;

    /// Credit for no message yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n` messages, at least 1. The sum saturates at [`UNBOUNDED`](Self::UNBOUNDED). After a
    /// cancellation it does nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidCredit`] for 0 messages. Nothing changes.
    pub fn request(&self, n: u64) -> Result<(), InvalidCredit> {
        let mut state = self.lock();
        if state.cancelled {
            return Ok(());
        }
        if n == 0 {
            return Err(InvalidCredit);
        }
        state.outstanding = state.outstanding.saturating_add(n);
        wake(state);
        Ok(())
    }

    /// Ends the stream of the gate. Returns whether the credit was not cancelled before.
    pub fn cancel(&self) -> bool {
        let mut state = self.lock();
        state.outstanding = 0;
        let first = !mem::replace(&mut state.cancelled, true);
        wake(state);
        first
    }

    /// Returns whether the credit was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Returns the credit that is not spent: 0 after a cancellation.
    pub fn outstanding(&self) -> u64 {
        self.lock().outstanding
    }

    /// Returns a stream of the items of `source` that is polled, and yields, only with credit.
    ///
    /// It ends when the source ends or the credit is cancelled. A credit has one gate at a time:
    /// the task that polled last is woken.
    pub fn gate<S: Stream + Unpin>(&self, source: S) -> CreditGate<S> {
        let credit = self.clone();
        CreditGate { credit, source }
    }

    /// No code of the caller runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready with whether there is credit, without taking it: `false` after the cancellation. If
    /// it is pending, the task is woken by either. With `cancelled`, only the latter is waited for.
    fn poll_credit(&self, cx: &Context<'_>, cancelled: bool) -> Poll<bool> {
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if state.cancelled || (!cancelled && state.outstanding > 0) {
            return Poll::Ready(!state.cancelled);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

/// Outside of the lock: a waker is code of the caller.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}

/// The stream of [`Credit::gate`].
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct CreditGate<S> {
    credit: Credit,
    source: S,
}

impl<S: Stream + Unpin> Stream for CreditGate<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if !ready!(self.credit.poll_credit(cx, false)) {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = Pin::new(&mut self.source).poll_next(cx) else {
            // The source wakes the task for an item, and the credit for a cancellation.
            return self.credit.poll_credit(cx, true).map(|_| None);
        };
        if next.is_some() {
            let mut state = self.credit.lock();
            let spent = u64::from(state.outstanding != Credit::UNBOUNDED);
            state.outstanding = state.outstanding.saturating_sub(spent);
        }
        Poll::Ready(next)
    }
}
