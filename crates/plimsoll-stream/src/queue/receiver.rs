//! The futures of receivers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{place::Place, reason::Delivery, shared::Shared, state::State};

/// Defines a future that takes from a queue.
macro_rules! receiving {
    ($(#[$doc:meta])* $name:ident: $output:ty, $poll:expr) => {
        $(#[$doc])*
        #[must_use = "a future does nothing until it is polled"]
        pub struct $name<'a, T> {
            shared: &'a Shared<T>,
            place: Place,
        }

        impl<'a, T> $name<'a, T> {
            #[inline(always)]
            #[allow(clippy::inline_always)]
            pub(crate) fn new(shared: &'a Shared<T>) -> Self {
                Self {
                    shared,
                    place: Place::default(),
                }
            }
        }

        impl<T> Future for $name<'_, T> {
            type Output = Option<$output>;

            // Performance: a short receive is a part of the task that awaits it (`streams`,
            // `queue/block/1p`).
            #[inline(always)]
            #[allow(clippy::inline_always)]
            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let this = &mut *self;
                let poll: fn(&Shared<T>, &mut Place, &mut Context<'_>) -> _ = $poll;
                poll(this.shared, &mut this.place, cx)
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
    Recv: T, Shared::poll_item
}

receiving! {
    /// The future of [`BoundedQueue::recv_delivery`](crate::BoundedQueue::recv_delivery). Dropping
    /// it loses no item and no gap.
    RecvDelivery: Delivery<T>, |shared, place, cx| {
        shared.poll_take(place, cx, State::take_delivery)
    }
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
        let limit = this.limit;
        let taken = this
            .shared
            .poll_many(&mut this.place, cx, &mut *this.into, limit);
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
