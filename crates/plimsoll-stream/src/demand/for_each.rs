//! A subscription that is consumed by a callback.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{gated::Ended, signal::Demand, subscription::Subscription};

pin_project! {
    /// The future of [`Subscription::for_each`].
    #[must_use = "a future does nothing until it is polled"]
    pub struct ForEach<S, F> {
        #[pin]
        subscription: Subscription<S>,
        on_next: F,
    }
}

impl<S: Stream> Subscription<S> {
    /// Calls `on_next` for each requested item, with the demand. Ready at the end.
    ///
    /// The calls are serial (1.3). A request inside of `on_next` adds credit and returns; the next
    /// call comes after this one has returned, so the depth of the stack is constant (3.3). Without
    /// a request before or in `on_next` no item comes.
    ///
    /// ```
    /// use futures_util::stream;
    /// use plimsoll_stream::demand::{Ended, Publisher};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let subscription = stream::iter(1..=100_000_u64).subscribe();
    /// subscription.request(1)?;
    /// let mut sum = 0;
    /// let ended = subscription.for_each(|n, demand| {
    ///     sum += n;
    ///     demand.request(1).expect("not 0");
    /// });
    /// assert_eq!(ended.await, Ended::Completed);
    /// assert_eq!(sum, 5_000_050_000);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// A panic of `on_next` passes to the task that polls. The future is to be dropped then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future cancels the demand.
    pub fn for_each<F: FnMut(S::Item, &Demand)>(self, on_next: F) -> ForEach<S, F> {
        ForEach {
            subscription: self,
            on_next,
        }
    }
}

impl<S: Stream, F: FnMut(S::Item, &Demand)> Future for ForEach<S, F> {
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut this = self.project();
        while let Some(item) = ready!(this.subscription.as_mut().poll_next(cx)) {
            (this.on_next)(item, this.subscription.demand());
        }
        // Set at the end of the stream.
        Poll::Ready(this.subscription.ended().unwrap_or(Ended::Cancelled))
    }
}

impl<S, F> fmt::Debug for ForEach<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEach")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}
