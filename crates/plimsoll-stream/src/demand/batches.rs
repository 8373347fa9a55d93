//! A subscription in batches that are requested again when they were processed.

use std::{
    fmt, mem,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{error::InvalidRequest, signal::Demand, subscription::Subscription};

pin_project! {
    /// The stream of [`Subscription::batches`] and [`Subscription::ready_batches`].
    ///
    /// Dropping it cancels the demand and drops the items of the batch that is not full yet.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct Batches<S: Stream> {
        #[pin]
        subscription: Subscription<S>,
        size: usize,
        // Whether a batch is yielded when the source has no more items for now.
        ready: bool,
        items: Vec<S::Item>,
    }
}

/// Items of a subscription, and the promise to request as many when they were processed.
///
/// The request is made by [`done`](Self::done) or when the batch is dropped, also during a panic.
#[must_use = "dropping a batch requests the next one"]
pub struct Batch<T> {
    items: Vec<T>,
    demand: Demand,
    requests: u64,
}

impl<S: Stream> Subscription<S> {
    /// Returns the stream in batches of `size` items, at least 1; the last one may be shorter.
    ///
    /// The first batch is requested now, and the next one when the [`Batch`] before it was
    /// processed. So at most `size` items are collected or in processing (and as many as were
    /// requested before this call).
    ///
    /// ```
    /// use futures_util::{FutureExt, StreamExt, stream};
    /// use plimsoll_stream::demand::Publisher;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut batches = stream::iter(0..5).subscribe().batches(3)?;
    /// let batch = batches.next().await.unwrap();
    /// assert_eq!(*batch, [0, 1, 2]);
    /// assert!(batches.next().now_or_never().is_none(), "not processed yet");
    /// batch.done();
    /// assert_eq!(*batches.next().await.unwrap(), [3, 4]);
    /// assert!(batches.next().await.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] for a size of 0.
    pub fn batches(self, size: usize) -> Result<Batches<S>, InvalidRequest> {
        self.in_batches(size, false)
    }

    /// As [`batches`](Self::batches), but a batch does not wait until it is full: it has the items
    /// that are ready, at least 1.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] for a size of 0.
    pub fn ready_batches(self, size: usize) -> Result<Batches<S>, InvalidRequest> {
        self.in_batches(size, true)
    }

    fn in_batches(self, size: usize, ready: bool) -> Result<Batches<S>, InvalidRequest> {
        if size == 0 {
            return Err(InvalidRequest);
        }
        self.request(size as u64)?;
        Ok(Batches {
            subscription: self,
            size,
            ready,
            items: Vec::new(),
        })
    }
}

impl<S: Stream> Batches<S> {
    /// Returns the demand. Clones of it cancel from other tasks.
    pub const fn demand(&self) -> &Demand {
        self.subscription.demand()
    }
}

impl<S: Stream> Stream for Batches<S> {
    type Item = Batch<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Batch<S::Item>>> {
        let mut this = self.project();
        while this.items.len() < *this.size {
            match this.subscription.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => this.items.push(item),
                Poll::Ready(None) if this.items.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => break,
                Poll::Pending if *this.ready && !this.items.is_empty() => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let items = mem::take(this.items);
        Poll::Ready(Some(Batch {
            requests: items.len() as u64,
            items,
            demand: this.subscription.demand().clone(),
        }))
    }
}

impl<T> Batch<T> {
    /// Requests as many items as this batch had, and drops the items.
    pub fn done(self) {}

    /// Takes the items out of the batch. The request still waits for [`done`](Self::done).
    pub fn take(&mut self) -> Vec<T> {
        mem::take(&mut self.items)
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        // No batch is empty.
        _ = self.demand.request(self.requests);
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for Batch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<T: fmt::Debug> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batch").field(&self.items).finish()
    }
}

impl<S: Stream> fmt::Debug for Batches<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("subscription", &self.subscription)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
