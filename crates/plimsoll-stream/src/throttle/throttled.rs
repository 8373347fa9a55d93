//! A stream behind token buckets.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{limits::Throttle, passage::Passage};
use crate::Weight;

type Weigh<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;

pin_project! {
    /// The stream of [`Throttle::stream`] and [`Throttle::stream_by`].
    ///
    /// It takes one item from the source, and holds it until the buckets admit it; meanwhile the
    /// source is not polled. It ends with its source. An item that waits is not lost when a future
    /// of the stream is dropped. Dropping the stream itself drops it;
    /// [`take_waiting`](Self::take_waiting) takes it out before.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct Throttled<S: Stream> {
        #[pin]
        source: S,
        #[pin]
        passage: Passage,
        weigh: Weigh<S::Item>,
        waiting: Option<(S::Item, u64)>,
        // The bytes that heavier items have left to take, of the inner and the outer bucket.
        owed: [u64; 2],
    }
}

impl Throttle {
    /// Returns the items of `source`, each when the buckets admit it. Bytes are those of its
    /// [`Weight`].
    pub fn stream<S: Stream>(&self, source: S) -> Throttled<S>
    where
        S::Item: Weight + 'static,
    {
        self.stream_by(source, Weight::weight)
    }

    /// As [`stream`](Self::stream), with a closure that returns the weight of an item in bytes.
    ///
    /// It is called once for each item. `|_| 0` fits a throttle without a quota of bytes.
    pub fn stream_by<S: Stream>(
        &self,
        source: S,
        weight: impl Fn(&S::Item) -> usize + Send + Sync + 'static,
    ) -> Throttled<S> {
        Throttled {
            source,
            passage: Passage::new(self.clone()),
            weigh: Box::new(weight),
            waiting: None,
            owed: [0; 2],
        }
    }
}

impl<S: Stream> Throttled<S> {
    /// Takes the item that waits for tokens, if there is one. It has spent none.
    pub fn take_waiting(self: Pin<&mut Self>) -> Option<S::Item> {
        let this = self.project();
        this.passage.leave();
        this.waiting.take().map(|(item, _)| item)
    }

    /// Returns the source.
    pub const fn get_ref(&self) -> &S {
        &self.source
    }

    /// Returns the source, which must not be polled for items beside this stream.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().source
    }

    /// Returns the throttle.
    pub const fn throttle(&self) -> &Throttle {
        self.passage.throttle()
    }
}

impl<S: Stream> Stream for Throttled<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        loop {
            let bytes = if let Some((_, bytes)) = this.waiting {
                *bytes
            } else {
                let Some(item) = ready!(this.source.as_mut().poll_next(cx)) else {
                    return Poll::Ready(None);
                };
                let bytes = (this.weigh)(&item) as u64;
                *this.waiting = Some((item, bytes));
                bytes
            };
            let owes = *this.owed != [0; 2];
            let wants = if owes {
                let [inner, outer] = *this.owed;
                [0, inner, 0, outer]
            } else {
                [1, bytes, 1, bytes]
            };
            let [_, inner, _, outer] = ready!(this.passage.as_mut().poll_take(&wants, cx));
            *this.owed = [inner, outer];
            if !owes {
                this.passage.as_mut().count();
                return Poll::Ready(this.waiting.take().map(|(item, _)| item));
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.source.size_hint();
        let waiting = usize::from(self.waiting.is_some());
        let most = most.and_then(|most| most.checked_add(waiting));
        (least.saturating_add(waiting), most)
    }
}

impl<S: Stream> fmt::Debug for Throttled<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttled")
            .field("throttle", self.throttle())
            .field("waiting", &self.waiting.is_some())
            .field("owed", &self.owed)
            .finish_non_exhaustive()
    }
}
