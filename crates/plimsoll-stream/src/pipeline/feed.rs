//! The buffer in front of a stage, as the stage before it sends to it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{error::BoxError, metrics::Row};
use crate::{BoundedQueue, Permit, Reserve, SendError};

/// A buffer, and the figures of the stage that it is in front of.
pub(crate) struct Feed<T> {
    pub(crate) queue: BoundedQueue<T>,
    pub(crate) row: Arc<Row>,
}

/// Sends to a buffer, and waits for room in it.
pub(crate) struct Outlet<'a, T> {
    feed: &'a Feed<T>,
    reserve: Option<Reserve<'a, T>>,
    room: Option<Permit<'a, T>>,
}

impl<'a, T> Outlet<'a, T> {
    pub(crate) const fn new(feed: &'a Feed<T>) -> Self {
        Self {
            feed,
            reserve: None,
            room: None,
        }
    }

    /// Waits until there is room for one item, and keeps it.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.room.is_none() {
            let feed = self.feed;
            let reserve = self.reserve.get_or_insert_with(|| feed.queue.reserve());
            let room = ready!(Pin::new(reserve).poll(cx));
            self.reserve = None;
            self.room = Some(room?);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the item, or waits for room. `held` is empty afterwards, or the poll is pending.
    pub(crate) fn poll_send(
        &mut self,
        held: &mut Option<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BoxError>> {
        // Performance: one lock for an item when there is room.
        if self.room.is_none() && self.reserve.is_none() {
            let Some(item) = held.take() else {
                return Poll::Ready(Ok(()));
            };
            match self.feed.queue.try_send(item) {
                Ok(_) => {
                    self.feed.row.enqueue();
                    return Poll::Ready(Ok(()));
                }
                Err(SendError::Full(item)) => *held = Some(item),
                Err(_) => return Poll::Ready(Err("the next buffer is closed".into())),
            }
        }
        ready!(self.poll_room(cx))?;
        if let Some(item) = held.take() {
            self.send(item);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends an item into the room that is kept.
    pub(crate) fn send(&mut self, item: T) {
        if let Some(room) = self.room.take() {
            // Without a bound in bytes, a permit accepts every item.
            if room.send(item).is_ok() {
                self.feed.row.enqueue();
            }
        }
    }
}
