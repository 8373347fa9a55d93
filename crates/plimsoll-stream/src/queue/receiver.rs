//! Waiting for items of a queue.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use plimsoll_core::policy::{Asked, Ticket};
use tokio::task::coop;

use super::{reason::Delivery, shared::Shared, state::State};

/// A place among the receivers of a queue, held by a future or a stream.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Ticket>);

impl<T> Shared<T> {
    /// Takes what `take` finds, or waits for the next item. Ready with `None` at the end.
    #[inline]
    pub(crate) fn poll_take<R>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        // Performance: a take that need not wait returns from here, with its value in place
        // (`streams`, `queue/block/1p`).
        // A receiver that never has to wait would otherwise keep other tasks from running.
        let budget = ready!(coop::poll_proceed(cx));
        let mut clone = None;
        if place.0.is_none() {
            let mut state = self.lock();
            if !state.expires() {
                let taken = take(&mut state);
                if taken.is_some() {
                    self.unlock(state);
                    budget.made_progress();
                    return Poll::Ready(taken);
                }
                drop(state);
                clone = Some(cx.waker().clone());
            }
        }
        let taken = self.poll_take_or_wait(place, cx, clone, take);
        if taken.is_ready() {
            budget.made_progress();
        }
        taken
    }

    #[inline(never)]
    fn poll_take_or_wait<R>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        mut clone: Option<Waker>,
        mut take: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        loop {
            let mut state = self.lock();
            if let Some(ticket) = place.0 {
                match state.receivers.ask(ticket, cx.waker(), &mut clone) {
                    Asked::Waiting(other) => {
                        drop(state);
                        drop(other);
                        return Poll::Pending;
                    }
                    Asked::WakerPlease => {
                        drop(state);
                        clone = Some(cx.waker().clone());
                        continue;
                    }
                    Asked::Granted => {
                        place.0 = None;
                        state.receivers.remove(ticket);
                        state.granted_receivers -= 1;
                    }
                }
            }
            let (taken, done) = self.take_unexpired(state, |state| {
                let taken = take(state);
                let done = taken.is_some() || state.has_ended();
                if !done && clone.is_some() {
                    let ticket = state.receivers.join(());
                    place.0 = Some(ticket);
                    // The clone is stored, and no other waker was.
                    _ = state.receivers.ask(ticket, cx.waker(), &mut clone);
                }
                (taken, done)
            });
            if done {
                return Poll::Ready(taken);
            }
            if place.0.is_some() {
                return Poll::Pending;
            }
            // Without the lock, because cloning runs the caller's code.
            clone = Some(Waker::clone(cx.waker()));
        }
    }

    /// Releases a place. If an item was on its way to it, another receiver is woken.
    #[inline]
    pub(crate) fn release(&self, place: &mut Place) {
        if let Some(ticket) = place.0.take() {
            self.release_ticket(ticket);
        }
    }

    #[cold]
    fn release_ticket(&self, ticket: Ticket) {
        let mut state = self.lock();
        let left = state.receivers.remove(ticket);
        if left.as_ref().is_some_and(|left| left.granted) {
            state.granted_receivers -= 1;
        }
        self.unlock(state);
        drop(left);
    }
}

/// Defines a future that takes from a queue.
macro_rules! receiving {
    ($(#[$doc:meta])* $name:ident: $output:ty, $take:expr) => {
        $(#[$doc])*
        #[must_use = "a future does nothing until it is polled"]
        pub struct $name<'a, T> {
            shared: &'a Shared<T>,
            place: Place,
        }

        impl<'a, T> $name<'a, T> {
            pub(crate) fn new(shared: &'a Shared<T>) -> Self {
                Self {
                    shared,
                    place: Place::default(),
                }
            }
        }

        impl<T> Future for $name<'_, T> {
            type Output = Option<$output>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let this = &mut *self;
                this.shared.poll_take(&mut this.place, cx, $take)
            }
        }

        impl<T> Drop for $name<'_, T> {
            fn drop(&mut self) {
                self.shared.release(&mut self.place);
            }
        }

        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut out = f.debug_struct(stringify!($name));
                out.field("place", &self.place).finish_non_exhaustive()
            }
        }
    };
}

receiving! {
    /// The future of [`BoundedQueue::recv`](crate::BoundedQueue::recv). Dropping it loses no item.
    Recv: T, State::take_item
}

receiving! {
    /// The future of [`BoundedQueue::recv_delivery`](crate::BoundedQueue::recv_delivery). Dropping
    /// it loses no item and no gap.
    RecvDelivery: Delivery<T>, State::take_delivery
}

/// The future of [`BoundedQueue::recv_many`](crate::BoundedQueue::recv_many). Dropping it loses no
/// item.
#[must_use = "a future does nothing until it is polled"]
pub struct RecvMany<'a, T> {
    shared: &'a Shared<T>,
    place: Place,
    into: &'a mut Vec<T>,
    limit: usize,
}

impl<'a, T> RecvMany<'a, T> {
    pub(crate) fn new(shared: &'a Shared<T>, into: &'a mut Vec<T>, limit: usize) -> Self {
        Self {
            shared,
            place: Place::default(),
            into,
            limit,
        }
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = &mut *self;
        if this.limit == 0 {
            return Poll::Ready(0);
        }
        // Performance: allocates without the lock (`streams`, `queue/block/1p/many`).
        let room = this.limit.min(this.shared.len());
        this.into.reserve(room);
        let (into, limit) = (&mut *this.into, this.limit);
        let taken = this.shared.poll_take(&mut this.place, cx, |state| {
            let taken = state.take_many(into, limit);
            (taken > 0).then_some(taken)
        });
        taken.map(Option::unwrap_or_default)
    }
}

impl<T> Drop for RecvMany<'_, T> {
    fn drop(&mut self) {
        self.shared.release(&mut self.place);
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RecvMany");
        out.field("limit", &self.limit).finish_non_exhaustive()
    }
}
