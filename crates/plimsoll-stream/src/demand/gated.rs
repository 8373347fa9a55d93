//! A stream that yields only with credit.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;
use plimsoll_core::policy::Ticket;

use super::signal::Demand;

/// Why a stream with a demand has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The source has ended.
    Completed,
    /// The consumer has cancelled.
    Cancelled,
}

pin_project! {
    /// The stream of [`Demand::gate`]: it yields an item only with credit.
    ///
    /// A credit is taken before the source is polled, so no item leaves the source without one. The
    /// stream ends when the source ends or the demand is cancelled, and drops the source then.
    ///
    /// The end of a source is seen when there is credit for one more item, or without credit if the
    /// source's `size_hint` is 0.
    ///
    /// Dropping the stream drops the source. A credit that it holds goes to the next producer.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct Gated<S> {
        demand: Demand,
        #[pin]
        source: Option<S>,
        // Whether a credit was taken for the item that the source is polled for.
        held: bool,
        ended: Option<Ended>,
        place: Option<Ticket>,
        watch: Option<Ticket>,
    }

    impl<S> PinnedDrop for Gated<S> {
        fn drop(this: Pin<&mut Self>) {
            this.release();
        }
    }
}

impl Demand {
    /// Returns a stream of the items of `source` that yields only with credit.
    ///
    /// Several gates may share a demand: each item of each takes one credit.
    ///
    /// ```
    /// use futures_util::{FutureExt, StreamExt, stream};
    /// use plimsoll_stream::Demand;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let demand = Demand::new();
    /// let mut items = demand.gate(stream::iter(["a", "b", "c"]));
    /// demand.request(2)?;
    /// assert_eq!(items.next().now_or_never(), Some(Some("a")));
    /// assert_eq!(items.next().now_or_never(), Some(Some("b")));
    /// assert_eq!(items.next().now_or_never(), None, "waits for credit");
    /// demand.cancel();
    /// assert_eq!(items.next().now_or_never(), Some(None));
    /// # Ok(()) }
    /// ```
    pub fn gate<S: Stream>(&self, source: S) -> Gated<S> {
        Gated {
            demand: self.clone(),
            source: Some(source),
            held: false,
            ended: None,
            place: None,
            watch: None,
        }
    }
}

impl<S> Gated<S> {
    /// Returns the demand.
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Returns why the stream has ended, or `None` before the end was seen.
    pub const fn ended(&self) -> Option<Ended> {
        self.ended
    }

    fn end(mut self: Pin<&mut Self>, ended: Ended) {
        self.as_mut().release();
        let mut this = self.project();
        *this.ended = Some(ended);
        this.source.set(None);
    }

    /// Releases the places in the queues of the demand, and the credit.
    fn release(self: Pin<&mut Self>) {
        let this = self.project();
        let shared = &this.demand.shared;
        shared.leave(this.place);
        shared.unwatch(this.watch);
        if std::mem::take(this.held) {
            shared.untake();
        }
    }
}

impl<S: Stream> Gated<S> {
    /// Polls the source with credit. `None` when the stream has ended for the reason that is given.
    fn poll_source(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<S::Item>, Ended>> {
        let mut this = self.project();
        let shared = &this.demand.shared;
        let Some(source) = this.source.as_mut().as_pin_mut() else {
            return Poll::Ready(Ok(None));
        };
        if shared.is_cancelled() {
            return Poll::Ready(Err(Ended::Cancelled));
        }
        if !*this.held {
            if source.size_hint() == (0, Some(0)) {
                return Poll::Ready(Err(Ended::Completed));
            }
            if ready!(shared.poll_take(this.place, cx)).is_err() {
                return Poll::Ready(Err(Ended::Cancelled));
            }
            *this.held = true;
        }
        match source.poll_next(cx) {
            Poll::Ready(Some(item)) => {
                *this.held = false;
                Poll::Ready(Ok(Some(item)))
            }
            Poll::Ready(None) => Poll::Ready(Err(Ended::Completed)),
            // The source wakes the task for an item, and the demand for a cancellation.
            Poll::Pending => shared
                .poll_cancelled(this.watch, cx)
                .map(|()| Err(Ended::Cancelled)),
        }
    }
}

impl<S: Stream> Stream for Gated<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = ready!(self.as_mut().poll_source(cx));
        Poll::Ready(polled.unwrap_or_else(|ended| {
            self.end(ended);
            None
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let source = self.source.as_ref().map(Stream::size_hint);
        // A cancellation may end it before.
        (0, source.map_or(Some(0), |(_, most)| most))
    }
}

impl<S> fmt::Debug for Gated<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gated")
            .field("demand", &self.demand)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
