//! A queue as a `Stream`.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{bounded::BoundedQueue, place::Place, reason::Delivery, state::State};

/// The items of a queue as a [`Stream`], which ends with the queue.
///
/// Dropping it loses no item and does not close the queue.
pub struct Items<T> {
    queue: BoundedQueue<T>,
    place: Place,
}

/// The items and gaps of a queue as a [`Stream`], which ends with the queue.
///
/// Dropping it loses no item and no gap, and does not close the queue.
pub struct Deliveries<T> {
    queue: BoundedQueue<T>,
    place: Place,
}

impl<T> BoundedQueue<T> {
    /// Returns the items as a [`Stream`], as [`recv`](Self::recv) receives them.
    pub fn items(&self) -> Items<T> {
        Items {
            queue: self.clone(),
            place: Place::default(),
        }
    }

    /// Returns items and gaps as a [`Stream`], as [`recv_delivery`](Self::recv_delivery) receives
    /// them.
    pub fn deliveries(&self) -> Deliveries<T> {
        Deliveries {
            queue: self.clone(),
            place: Place::default(),
        }
    }
}

impl<T> Stream for Items<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let shared = &this.queue.shared;
        shared.poll_item(&mut this.place, cx)
    }
}

impl<T> Stream for Deliveries<T> {
    type Item = Delivery<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery<T>>> {
        let this = &mut *self;
        let shared = &this.queue.shared;
        shared.poll_take(&mut this.place, cx, State::take_delivery)
    }
}

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        self.queue.shared.release(&mut self.place);
    }
}

impl<T> Drop for Deliveries<T> {
    fn drop(&mut self) {
        self.queue.shared.release(&mut self.place);
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Items").field(&self.queue).finish()
    }
}

impl<T> fmt::Debug for Deliveries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deliveries").field(&self.queue).finish()
    }
}
