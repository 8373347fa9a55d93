//! Waiting for room in a queue.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;
use plimsoll_core::policy::{Asked, Ticket};
use tokio::time::{Sleep, sleep};

use super::{
    admit::{About, Plan},
    outcome::{SendError, Sent},
    policy::QueuePolicy,
    shared::Shared,
    state::{State, Want},
};
use crate::sync::MutexGuard;

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
            about: shared.about(&item),
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

impl<T> Shared<T> {
    /// The timeout of a send that blocks, under the policy in force.
    pub(crate) fn timeout(&self) -> Option<std::time::Duration> {
        match self.lock().policy {
            QueuePolicy::Block { timeout } => timeout,
            _ => None,
        }
    }

    /// Sends the item unless that must wait; `None` then, and without an item.
    #[inline]
    fn send_now(
        &self,
        waiting: &mut Option<T>,
        about: &About,
    ) -> Option<Result<Sent<T>, SendError<T>>> {
        let state = self.lock();
        let plan = state.plan(about.weight);
        if plan == Plan::Full {
            return None;
        }
        let item = waiting.take()?;
        Some(self.carry_out(state, plan, item, about))
    }

    /// Sends the item, or waits for room under a policy that blocks.
    ///
    /// Pending forever without an item, as after it was ready.
    pub(crate) fn poll_send(
        &self,
        waiting: &mut Option<T>,
        about: &About,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
        mut clone: Option<Waker>,
    ) -> Poll<Result<Sent<T>, SendError<T>>> {
        loop {
            let (mut state, reserved) = ready!(self.granted(ticket, cx, &mut clone));
            if waiting.is_none() {
                return Poll::Pending;
            }
            let plan = state.plan(about.weight);
            if plan == Plan::Full && !reserved {
                if Self::enqueue(state, about.weight, ticket, cx, &mut clone) {
                    return Poll::Pending;
                }
                continue;
            }
            let Some(item) = waiting.take() else {
                return Poll::Pending;
            };
            if reserved {
                let sent = state.offer_reserved(item, about, about.weight);
                self.unlock(state);
                self.report(&sent.lost);
                return Poll::Ready(Ok(sent));
            }
            return Poll::Ready(self.carry_out(state, plan, item, about));
        }
    }

    /// Locks the state once the waiter is granted, or at once without a waiter.
    ///
    /// Ready with whether room is reserved for it; if not, it must try again.
    #[inline]
    pub(crate) fn granted(
        &self,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
        clone: &mut Option<Waker>,
    ) -> Poll<(MutexGuard<'_, State<T>>, bool)> {
        loop {
            let mut state = self.lock();
            let Some(waiter) = *ticket else {
                return Poll::Ready((state, false));
            };
            match state.senders.ask(waiter, cx.waker(), clone) {
                Asked::Waiting(other) => {
                    drop(state);
                    drop(other);
                    return Poll::Pending;
                }
                Asked::WakerPlease => {
                    drop(state);
                    *clone = Some(cx.waker().clone());
                }
                Asked::Granted => {
                    *ticket = None;
                    let left = state.senders.remove(waiter);
                    let reserved = left.is_some_and(|left| left.value.reserved);
                    if reserved {
                        state.granted_senders -= 1;
                    }
                    return Poll::Ready((state, reserved));
                }
            }
        }
    }

    /// Queues a sender, if a clone of its waker was already made. If not, makes the clone without
    /// the lock, and returns `false`: there may be room meanwhile.
    pub(crate) fn enqueue(
        mut state: MutexGuard<'_, State<T>>,
        bytes: usize,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
        clone: &mut Option<Waker>,
    ) -> bool {
        if clone.is_none() {
            drop(state);
            *clone = Some(cx.waker().clone());
            return false;
        }
        let waiter = state.senders.join(Want {
            bytes,
            reserved: false,
        });
        *ticket = Some(waiter);
        // The clone is stored, and no other waker was.
        _ = state.senders.ask(waiter, cx.waker(), clone);
        true
    }

    /// Removes a sender that no longer waits. Room that was reserved for it goes to the next.
    #[cold]
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut state = self.lock();
        let left = state.senders.remove(ticket);
        if let Some(left) = &left {
            if left.granted && left.value.reserved {
                state.granted_senders -= 1;
                state.unreserve(left.value.bytes);
            }
        }
        self.unlock(state);
        drop(left);
    }
}
