//! A stream as a publisher, and the subscription of its consumer.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{
    error::InvalidRequest,
    gated::{Ended, Gated},
    signal::Demand,
};

/// Any stream as the publisher of Reactive Streams, for one consumer.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use plimsoll_stream::demand::Publisher;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut subscription = stream::iter(0..1_000).subscribe();
/// subscription.request(2)?;
/// assert_eq!(subscription.next().await, Some(0));
/// assert_eq!(subscription.next().await, Some(1));
/// subscription.cancel();
/// assert_eq!(subscription.next().await, None);
/// # Ok(()) }
/// ```
pub trait Publisher: Stream + Sized {
    /// Subscribes to the stream. The subscription yields nothing before the first request.
    fn subscribe(self) -> Subscription<Self>;
}

impl<S: Stream> Publisher for S {
    fn subscribe(self) -> Subscription<Self> {
        Subscription {
            items: Demand::new().gate(self),
        }
    }
}

pin_project! {
    /// A stream and the demand of its one consumer; see [`Publisher`].
    ///
    /// It is a [`Stream`] of the items that were [requested](Self::request). There are two more
    /// ways to consume it: a [callback](Self::for_each) and [batches](Self::batches). An error of
    /// the source is an item (a `Result`).
    ///
    /// From its end on the demand is cancelled (1.6). Dropping the subscription cancels it.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct Subscription<S> {
        #[pin]
        items: Gated<S>,
    }

    impl<S> PinnedDrop for Subscription<S> {
        fn drop(this: Pin<&mut Self>) {
            this.cancel();
        }
    }
}

impl<S> Subscription<S> {
    /// Requests `n` more items; see [`Demand::request`].
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] for 0 items.
    pub fn request(&self, n: u64) -> Result<(), InvalidRequest> {
        self.demand().request(n)
    }

    /// Cancels; see [`Demand::cancel`]. The next item is the end.
    pub fn cancel(&self) -> bool {
        self.demand().cancel()
    }

    /// Returns the demand. Clones of it request and cancel from other tasks.
    pub const fn demand(&self) -> &Demand {
        self.items.demand()
    }

    /// Returns why the stream has ended, or `None` before the end was seen.
    pub const fn ended(&self) -> Option<Ended> {
        self.items.ended()
    }
}

impl<S: Stream> Stream for Subscription<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let item = ready!(this.items.as_mut().poll_next(cx));
        if item.is_none() {
            this.items.demand().cancel();
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<S> fmt::Debug for Subscription<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("items", &self.items)
            .finish()
    }
}
