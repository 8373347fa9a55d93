//! A queue as a `Sink`.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_sink::Sink;
use plimsoll_core::policy::Ticket;

use super::{bounded::BoundedQueue, error::SendError, plan::About};

/// A queue as a [`Sink`]: ready for the next item when the last one is queued.
///
/// It holds at most one item besides those of the queue: the one that waits for room. Items that the
/// policy drops or evicts are counted and reported to the hook, and then dropped. The timeout of
/// [`QueuePolicy::Block`](crate::QueuePolicy::Block) does not apply. Closing the sink flushes it, and
/// closes the queue.
pub struct ItemSink<T> {
    queue: BoundedQueue<T>,
    item: Option<T>,
    about: About,
    ticket: Option<Ticket>,
}

impl<T> BoundedQueue<T> {
    /// Returns a [`Sink`] that sends its items to the queue.
    pub fn sink(&self) -> ItemSink<T> {
        ItemSink {
            queue: self.clone(),
            item: None,
            about: About::default(),
            ticket: None,
        }
    }
}

impl<T> ItemSink<T> {
    /// Takes the item that waits for room, if there is one.
    pub fn take_waiting(&mut self) -> Option<T> {
        self.leave();
        self.item.take()
    }

    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.queue.shared.leave(ticket);
        }
    }
}

// The item is never pinned.
impl<T> Unpin for ItemSink<T> {}

impl<T> Sink<T> for ItemSink<T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_flush(cx)
    }

    /// Sends the item, or keeps it until there is room.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] and [`SendError::TooLarge`], and [`SendError::Full`] when an earlier
    /// item still waits: [`poll_ready`](Sink::poll_ready) was not called.
    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), SendError<T>> {
        if self.item.is_some() {
            return Err(SendError::Full(item));
        }
        match self.queue.try_send(item) {
            Ok(_) => Ok(()),
            Err(SendError::Full(item)) => {
                self.about = self.queue.shared.functions.about(&item);
                self.item = Some(item);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        let this = &mut *self;
        if this.item.is_some() {
            let shared = &this.queue.shared;
            ready!(shared.poll_send(&mut this.item, &this.about, &mut this.ticket, cx, None))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.queue.close();
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for ItemSink<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> fmt::Debug for ItemSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSink")
            .field("queue", &self.queue)
            .field("waiting", &self.item.is_some())
            .finish_non_exhaustive()
    }
}
