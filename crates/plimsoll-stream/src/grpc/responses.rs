//! The response stream of a handler.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use tonic::Status;

use crate::grpc::stop::Stop;

/// When a client that was too slow should come back, unless it is set.
///
/// 1 s, which is spread over the 2 s after it: a client that has caught up loses little, and
/// clients that were disconnected together do not come back together. It is on the wire only:
/// `a_subscriber_that_is_too_slow_ends_with_resource_exhausted_and_when_to_retry`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The response stream of a tonic handler: a [`Stream`] of messages or a status.
///
/// One type for each message, whatever the messages come from, so that a service can name it:
/// `type WatchStream = Responses<Tick>;`. That costs one allocation for each stream.
///
/// | made by | messages are |
/// |---|---|
/// | [`from_hub`](Self::from_hub) | what a [`Hub`](crate::Hub) publishes |
/// | [`from_queue`](Self::from_queue), [`channel`](Self::channel) | items of a [`BoundedQueue`](crate::BoundedQueue) |
/// | [`in_flight`](crate::grpc::in_flight) | answers to the client's messages |
/// | [`credited`](crate::grpc::credited) | another stream's, as many as the client has requested |
///
/// The server polls it when the client's window has room. It ends with the first status, and frees
/// all that belongs to it then. Dropping it, as the server does when the client is gone, has the
/// same effect.
#[must_use = "a stream does nothing until it is polled"]
pub struct Responses<M> {
    /// `None` after the end.
    poll: Option<Box<PollNext<M>>>,
    retry_after: Duration,
}

type PollNext<M> = dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<M, Stop>>> + Send;

impl<M> Responses<M> {
    pub(super) fn new(
        poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<M, Stop>>> + Send + 'static,
    ) -> Self {
        Self {
            poll: Some(Box::new(poll)),
            retry_after: RETRY_AFTER,
        }
    }

    /// Sets when a client that was too slow should come back. 1 s by default.
    ///
    /// It is an estimate on the wire, as for all rejections of Plimsoll: spread evenly from the
    /// value to twice the value, and over at least 2 s.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }
}

impl<M> Stream for Responses<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(poll) = &mut self.poll else {
            return Poll::Ready(None);
        };
        let next = ready!(poll(cx));
        if !matches!(next, Some(Ok(_))) {
            self.poll = None;
        }
        Poll::Ready(next.map(|next| next.map_err(|stop| stop.status(self.retry_after))))
    }
}

impl<M> fmt::Debug for Responses<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses")
            .field("ended", &self.poll.is_none())
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}
