//! Waiting for room in a queue.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;
use plimsoll_core::policy::Ticket;
use tokio::time::{Sleep, sleep};

use super::{
    error::SendError,
    lock::Guard,
    outcome::Sent,
    plan::{About, Plan},
    shared::Shared,
    state::State,
};

pin_project! {
    /// The future of [`BoundedQueue::send`](crate::BoundedQueue::send).
    ///
    /// It holds the item while it waits: dropping it drops the item, which the queue never had. To
    /// keep the item, await [`reserve`](crate::BoundedQueue::reserve) and then send with the permit.
    #[must_use = "a future does nothing until it is polled"]
    pub struct SendItem<'a, T> {
        shared: &'a Shared<T>,
        item: Option<T>,
        // `None` before the first poll, and in a queue without functions that describe items.
        about: Option<About>,
        ticket: Option<Ticket>,
        #[pin]
        timer: Option<Sleep>,
    }

    impl<T> PinnedDrop for SendItem<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(ticket) = this.ticket.take() {
                this.shared.leave(ticket);
            }
        }
    }
}

impl<'a, T> SendItem<'a, T> {
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn new(shared: &'a Shared<T>, item: T) -> Self {
        Self {
            shared,
            about: None,
            item: Some(item),
            ticket: None,
            timer: None,
        }
    }
}

impl<'a, T> Future for SendItem<'a, T> {
    type Output = Result<Sent<T>, SendError<T>>;

    // Performance: a short send is a part of the task that awaits it, so that its result is not
    // written to memory (`streams`, `queue/block/1p`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        if this.ticket.is_none() {
            let shared: &'a Shared<T> = this.shared;
            if shared.functions.describes() {
                *this.about = this.item.as_ref().map(|item| shared.functions.about(item));
            }
            let state = shared.lock_short();
            if state.may_send_short() {
                if let Some(item) = this.item.take() {
                    return Poll::Ready(Ok(shared.send_short(state, item)));
                }
            }
            return self.poll_first(state, cx);
        }
        self.poll_waiting(None, cx)
    }
}

impl<'a, T> SendItem<'a, T> {
    /// Polls for the first time, when the send is not short.
    #[inline(never)]
    fn poll_first(
        mut self: Pin<&mut Self>,
        mut state: Guard<'a, State<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent<T>, SendError<T>>> {
        let this = self.as_mut().project();
        if state.may_evict_short() {
            if let Some(item) = this.item.take() {
                return Poll::Ready(Ok(this.shared.evict_short(state, item)));
            }
        }
        let about = this.about.unwrap_or_default();
        this.shared.count_batch(&mut state);
        let plan = state.plan(about.weight);
        if plan != Plan::Full {
            let Some(item) = this.item.take() else {
                return Poll::Pending;
            };
            return Poll::Ready(this.shared.carry_out(state.into(), plan, item, &about));
        }
        drop(state);
        // Made before the lock is taken again, because there was no room.
        let clone = Some(cx.waker().clone());
        self.poll_waiting(clone, cx)
    }

    /// Polls a send for which there was no room.
    #[inline(never)]
    fn poll_waiting(
        self: Pin<&mut Self>,
        clone: Option<Waker>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent<T>, SendError<T>>> {
        let mut this = self.project();
        let (shared, about) = (*this.shared, this.about.unwrap_or_default());
        let sent = shared.poll_send(this.item, &about, this.ticket, cx, clone);
        if sent.is_ready() {
            return sent;
        }
        if this.timer.is_none() {
            let Some(after) = shared.timeout() else {
                return Poll::Pending;
            };
            this.timer.set(Some(sleep(after)));
        }
        if let Some(timer) = this.timer.as_mut().as_pin_mut() {
            ready!(timer.poll(cx));
        }
        // The timer has elapsed, and the poll above found no room.
        if let Some(ticket) = this.ticket.take() {
            shared.leave(ticket);
        }
        let after = shared.timeout().unwrap_or_default();
        shared.lock_short().counters.timed_out += 1;
        match this.item.take() {
            Some(item) => Poll::Ready(Err(SendError::Timeout { item, after })),
            None => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for SendItem<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.ticket.is_some();
        f.debug_struct("SendItem")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
