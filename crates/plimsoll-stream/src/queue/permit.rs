//! Room in a queue that is reserved for one item.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use plimsoll_core::policy::Ticket;

use super::{
    error::{ReserveError, SendError},
    outcome::Sent,
    shared::Shared,
};

/// Room for one item in a [`BoundedQueue`](crate::BoundedQueue).
///
/// A send with it does not wait and drops nothing, also after the queue was closed. Dropping the
/// permit releases the room; consumers of a closed queue wait until that happens.
#[must_use = "dropping a permit releases its room"]
pub struct Permit<'a, T> {
    shared: &'a Shared<T>,
    bytes: usize,
}

impl<'a, T> Permit<'a, T> {
    /// For room that was reserved in the state.
    pub(crate) fn new(shared: &'a Shared<T>, bytes: usize) -> Self {
        Self { shared, bytes }
    }

    /// Queues the item in the reserved room, never waiting.
    ///
    /// Under [`QueuePolicy::Coalesce`](crate::QueuePolicy::Coalesce) it may replace an item.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] with the item, if it weighs more than the bytes of the reservation.
    /// The room is released.
    pub fn send(self, item: T) -> Result<Sent<T>, SendError<T>> {
        let about = self.shared.functions.about(&item);
        let mut state = self.shared.lock();
        if about.weight > self.bytes {
            state.counters.too_large += 1;
            drop(state);
            // Dropping `self` releases the room.
            return Err(about.too_large(item, self.bytes));
        }
        let sent = state.offer_reserved(item, &about, self.bytes);
        let shared = self.shared;
        // The room is used.
        std::mem::forget(self);
        shared.unlock(state);
        shared.functions.report(&sent.lost);
        Ok(sent)
    }

    /// The bytes that are reserved.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.unreserve(self.bytes);
        self.shared.unlock(state);
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Permit");
        out.field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The future of [`BoundedQueue::reserve`](crate::BoundedQueue::reserve). Dropping it loses only
/// the place among the waiting senders.
#[must_use = "a future does nothing until it is polled"]
pub struct Reserve<'a, T> {
    shared: &'a Shared<T>,
    bytes: usize,
    ticket: Option<Ticket>,
}

impl<'a, T> Reserve<'a, T> {
    pub(crate) fn new(shared: &'a Shared<T>, bytes: usize) -> Self {
        Self {
            shared,
            bytes,
            ticket: None,
        }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (shared, bytes) = (this.shared, this.bytes);
        let mut clone = None;
        loop {
            let (mut state, reserved) = ready!(shared.granted(&mut this.ticket, cx, &mut clone));
            if reserved {
                shared.unlock(state);
                return Poll::Ready(Ok(Permit::new(shared, bytes)));
            }
            match state.try_reserve(bytes) {
                Ok(()) => {
                    shared.unlock(state);
                    return Poll::Ready(Ok(Permit::new(shared, bytes)));
                }
                Err(ReserveError::Full) => {
                    if Shared::enqueue(state, bytes, &mut this.ticket, cx, &mut clone) {
                        return Poll::Pending;
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.leave(ticket);
        }
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Reserve");
        out.field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
