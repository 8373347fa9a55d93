//! The body of a stream.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{clock, sse::connection::Connection};

/// The body of a stream of events. It has no end of its own, and ends when the client is moved to
/// polling or the topic is closed.
///
/// Dropping it, as the server does when the client is gone, frees all that belongs to the client.
pub struct EventBody {
    inner: Box<Inner>,
}

/// Boxed once for each client, since a timer must not move.
struct Inner {
    connection: Connection,
    /// When the next heartbeat is due.
    heartbeat_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl EventBody {
    pub(crate) fn new(connection: Connection) -> Self {
        let at = clock::now() + connection.heartbeat_every();
        Self {
            inner: Box::new(Inner {
                connection,
                heartbeat_at: at,
                timer: Box::pin(sleep_until(at)),
            }),
        }
    }
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let now = clock::now();
            if let Poll::Ready(frame) = self.connection.poll_frame(cx, now) {
                self.heartbeat_at = now + self.connection.heartbeat_every();
                return Poll::Ready(frame);
            }
            if now >= self.heartbeat_at {
                self.heartbeat_at = now + self.connection.heartbeat_every();
                return Poll::Ready(Some(self.connection.heartbeat()));
            }
            let deadline = self.connection.ack_deadline();
            let at = deadline.map_or(self.heartbeat_at, |at| at.min(self.heartbeat_at));
            if self.timer.deadline() != at {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.inner
            .poll(cx)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody").finish_non_exhaustive()
    }
}
