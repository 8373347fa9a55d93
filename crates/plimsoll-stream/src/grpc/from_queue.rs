//! A queue as a response stream, and its producer.

use std::{
    fmt,
    pin::Pin,
    task::{Poll, ready},
};

use futures_core::Stream;
use tokio::sync::watch;
use tonic::Status;

use crate::{
    grpc::{responses::Responses, stop::Stop},
    queue::{BoundedQueue, CloseOnDrop, Delivery, SendError, Sent},
};

impl<M: 'static> Responses<M> {
    /// Sends the items of a queue, and closes the queue when the stream ends or is dropped.
    ///
    /// `write` makes a message of each item, and decides about gaps: [`gaps`](crate::grpc::gaps)
    /// has functions for it. A client that reads nothing stops the stream when its window is full,
    /// and then the queue fills: under [`QueuePolicy::Block`](crate::QueuePolicy::Block) its
    /// producers wait, and under another policy it loses items.
    ///
    /// The stream ends with `OK` when the queue was closed and all was sent, or with what `write`
    /// returns. For an end with a status of the producer, see [`channel`](Self::channel).
    pub fn from_queue<T: Send + 'static>(
        queue: BoundedQueue<T>,
        write: impl FnMut(Delivery<T>) -> Result<M, Status> + Send + 'static,
    ) -> Self {
        // Nothing stops it but the queue.
        Self::of_queue(queue, watch::channel(None).1, write)
    }

    /// Sends the items of a queue that has one producer, which can end the stream with a status.
    ///
    /// As [`from_queue`](Self::from_queue). Under a policy that blocks with a timeout, a client
    /// that keeps the queue full for the timeout receives what is queued, and then
    /// `RESOURCE_EXHAUSTED` with `google.rpc.RetryInfo`, `grpc-retry-pushback-ms` and
    /// `plimsoll-lag`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use plimsoll_stream::{BoundedQueue, QueuePolicy, grpc::{Responses, gaps}};
    /// use tonic::{Response, Status};
    ///
    /// # struct Row;
    /// # async fn next_row(_: u32) -> Result<Row, std::io::Error> { Ok(Row) }
    /// async fn rows() -> Result<Response<Responses<Row>>, Status> {
    ///     let timeout = Some(Duration::from_secs(10));
    ///     let queue = BoundedQueue::new(16, QueuePolicy::Block { timeout });
    ///     let queue = queue.map_err(|error| Status::internal(error.to_string()))?;
    ///     let (sender, responses) = Responses::channel(queue, gaps::data_loss);
    ///     tokio::spawn(async move {
    ///         for n in 0..1_000 {
    ///             let row = match next_row(n).await {
    ///                 Ok(row) => row,
    ///                 Err(error) => return sender.end_with(Status::internal(error.to_string())),
    ///             };
    ///             if sender.send(row).await.is_err() {
    ///                 return; // The client is gone, or was too slow.
    ///             }
    ///         }
    ///     });
    ///     Ok(Response::new(responses))
    /// }
    /// ```
    pub fn channel<T: Send + 'static>(
        queue: BoundedQueue<T>,
        write: impl FnMut(Delivery<T>) -> Result<M, Status> + Send + 'static,
    ) -> (ResponseSender<T>, Self) {
        let (stop, stopped) = watch::channel(None);
        let responses = Self::of_queue(queue.clone(), stopped, write);
        let queue = CloseOnDrop::new(queue);
        (ResponseSender { queue, stop }, responses)
    }

    fn of_queue<T: Send + 'static>(
        queue: BoundedQueue<T>,
        stopped: watch::Receiver<Option<Stop>>,
        mut write: impl FnMut(Delivery<T>) -> Result<M, Status> + Send + 'static,
    ) -> Self {
        let mut deliveries = queue.deliveries();
        let queue = CloseOnDrop::new(queue);
        Self::new(move |cx| {
            let Some(delivery) = ready!(Pin::new(&mut deliveries).poll_next(cx)) else {
                // In this closure, so that the queue is closed when the stream is dropped.
                queue.close();
                return Poll::Ready(stopped.borrow().clone().map(Err));
            };
            Poll::Ready(Some(write(delivery).map_err(Stop::from)))
        })
    }
}

/// The producer of a response stream; see [`Responses::channel`].
///
/// Dropping it ends the stream with `OK` when all that is queued was sent.
#[must_use = "dropping the sender ends the stream"]
pub struct ResponseSender<T> {
    queue: CloseOnDrop<T>,
    /// Why the stream ends. The stream has the receiver.
    stop: watch::Sender<Option<Stop>>,
}

impl<T> ResponseSender<T> {
    /// Sends an item, as [`BoundedQueue::send`].
    ///
    /// # Errors
    ///
    /// As for that: [`SendError::Closed`] when the client is gone. [`SendError::Timeout`] when it
    /// was too slow, and the stream ends then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the item, which was never in the queue.
    pub async fn send(&self, item: T) -> Result<Sent<T>, SendError<T>> {
        let sent = self.queue.send(item).await;
        if matches!(sent, Err(SendError::Timeout { .. })) {
            let lag = self.queue.len() as u64;
            self.stop(Stop::Slow { lag, cursor: None });
        }
        sent
    }

    /// Ends the stream with a status, after what is queued.
    pub fn end_with(self, status: Status) {
        self.stop(status.into());
    }

    /// Waits until the stream was dropped, as when the client is gone, or has ended.
    ///
    /// # Cancellation
    ///
    /// Dropping the future has no effect.
    pub async fn closed(&self) {
        self.stop.closed().await;
    }

    /// Returns the queue, for its counters and its other ways to send.
    pub fn queue(&self) -> &BoundedQueue<T> {
        &self.queue
    }

    /// The first reason stays.
    fn stop(&self, reason: Stop) {
        self.stop.send_if_modified(|stop| {
            stop.get_or_insert(reason);
            true
        });
        self.queue.close();
    }
}

impl<T> fmt::Debug for ResponseSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseSender")
            .field(&self.queue())
            .finish()
    }
}
