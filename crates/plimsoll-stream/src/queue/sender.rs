//! Waiting for room in a queue.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use plimsoll_core::policy::Ticket;
use tokio::time::{Sleep, sleep};

use super::{error::SendError, outcome::Sent, plan::About, shared::Shared};

pin_project! {
    /// The future of [`BoundedQueue::send`](crate::BoundedQueue::send).
    ///
    /// It holds the item while it waits: dropping it drops the item, which the queue never had. To
    /// keep the item, await [`reserve`](crate::BoundedQueue::reserve) and then send with the permit.
    #[must_use = "a future does nothing until it is polled"]
    pub struct SendItem<'a, T> {
        shared: &'a Shared<T>,
        item: Option<T>,
        about: About,
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
    pub(crate) fn new(shared: &'a Shared<T>, item: T) -> Self {
        Self {
            shared,
            about: shared.functions.about(&item),
            item: Some(item),
            ticket: None,
            timer: None,
        }
    }
}

impl<T> Future for SendItem<'_, T> {
    type Output = Result<Sent<T>, SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Performance: a send that need not wait is decided before the item is moved, and returns
        // from here (`streams`, `queue/block/1p`).
        if this.ticket.is_none() {
            if let Some(sent) = this.shared.send_now(this.item, this.about) {
                return Poll::Ready(sent);
            }
        }
        poll_waiting(
            this.shared,
            this.item,
            this.about,
            this.ticket,
            this.timer,
            cx,
        )
    }
}

/// Polls a send for which there was no room.
#[inline(never)]
fn poll_waiting<T>(
    shared: &Shared<T>,
    item: &mut Option<T>,
    about: &About,
    ticket: &mut Option<Ticket>,
    mut timer: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Sent<T>, SendError<T>>> {
    // Made before the lock is taken again, because there was no room.
    let clone = ticket.is_none().then(|| cx.waker().clone());
    let sent = shared.poll_send(item, about, ticket, cx, clone);
    if sent.is_ready() {
        return sent;
    }
    if timer.is_none() {
        let Some(after) = shared.timeout() else {
            return Poll::Pending;
        };
        timer.set(Some(sleep(after)));
    }
    if let Some(timer) = timer.as_mut().as_pin_mut() {
        ready!(timer.poll(cx));
    }
    // The timer has elapsed, and the poll above found no room.
    if let Some(ticket) = ticket.take() {
        shared.leave(ticket);
    }
    let after = shared.timeout().unwrap_or_default();
    shared.lock().counters.timed_out += 1;
    match item.take() {
        Some(item) => Poll::Ready(Err(SendError::Timeout { item, after })),
        None => Poll::Pending,
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
