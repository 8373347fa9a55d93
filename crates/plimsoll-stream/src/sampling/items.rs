//! A stream with a share of the items of another.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;
use plimsoll_core::LoadSignal;

use super::sampler::Sampler;

/// The most items that one poll skips, in items.
///
/// A source that is always ready would keep the task from running anything else, such as the
/// consumer that would lower the load. 64 items cost about a microsecond. Without it,
/// `a_poll_ends_although_each_item_is_skipped` does not end.
const MAX_SKIPPED: u32 = 64;

/// An item that was kept, with the number of items that it represents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted<T> {
    /// The item.
    pub item: T,
    /// The number of items that it represents: 1 when each is kept.
    pub weight: f64,
}

pin_project! {
    /// The stream of [`Sampler::stream`].
    ///
    /// It ends with its source. Dropping it drops the source, and no item.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct SampledItems<S, L> {
        #[pin]
        source: S,
        sampler: Sampler<L>,
    }
}

impl<L: LoadSignal> Sampler<L> {
    /// Returns a stream of the kept items of `source`, each with its weight.
    ///
    /// Skipped items are dropped and counted. A poll that skips 64 items in a row wakes its task
    /// and returns `Pending`, so that other tasks run.
    ///
    /// ```
    /// use futures_util::{StreamExt, stream};
    /// use plimsoll_stream::{BoundedQueue, QueuePolicy, Rates, Sampler, Weighted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = BoundedQueue::new(1_000, QueuePolicy::DropNewest)?;
    /// // Everything up to a fill level of 70 %, and one in ten in a full queue.
    /// let rates = Rates { min: 0.1, ..Rates::DEFAULT };
    /// let sampler = Sampler::new(queue.clone(), rates)?.seed(7);
    /// let handle = sampler.handle();
    ///
    /// // Ten times as many events as the queue holds, and no consumer.
    /// let mut events = sampler.stream(stream::iter(0..10_000));
    /// let mut estimate = 0.0;
    /// while let Some(Weighted { item, weight }) = events.next().await {
    ///     estimate += weight;
    ///     _ = queue.send((item, weight)).await?;
    /// }
    /// assert_eq!(handle.kept() + handle.skipped(), 10_000);
    /// assert!((9_000.0..11_000.0).contains(&estimate), "{estimate}");
    /// # Ok(()) }
    /// ```
    pub fn stream<S: Stream>(self, source: S) -> SampledItems<S, L> {
        SampledItems {
            source,
            sampler: self,
        }
    }
}

impl<S: Stream, L: LoadSignal> Stream for SampledItems<S, L> {
    type Item = Weighted<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        for _ in 0..MAX_SKIPPED {
            let Some(item) = ready!(this.source.as_mut().poll_next(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(weight) = this.sampler.draw() {
                return Poll::Ready(Some(Weighted { item, weight }));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.source.size_hint().1)
    }
}

impl<S, L> fmt::Debug for SampledItems<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampledItems")
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}
