//! The response body of a stream with a write deadline.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::progress::{self, Progress};

/// The most bytes of one frame, so that a long message waits for the window piece by piece.
///
/// 16 KiB, the default frame of HTTP/2 (RFC 9113, 6.5.2): a larger one would be split on its way
/// anyway. hyper takes a whole frame as soon as the window has one byte, so without this bound the
/// deadline would not see a message that is not read:
/// `one_long_message_that_is_not_read_ends_in_time`.
const FRAME: usize = 16 << 10;

pin_project! {
    /// Reports to the task of its stream whether the client has room.
    pub(super) struct WatchedBody<B> {
        #[pin]
        body: B,
        // The part of a long frame that was not sent yet.
        rest: Bytes,
    }
}

impl<B> WatchedBody<B> {
    pub(super) fn new(body: B) -> Self {
        let rest = Bytes::new();
        Self { body, rest }
    }
}

impl<B: Body<Data = Bytes>> Body for WatchedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if this.rest.is_empty() {
            match this.body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => *this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Poll::Pending => {
                    progress::report(Progress::Pending);
                    return Poll::Pending;
                }
                end @ Poll::Ready(_) => return end,
            }
        }
        progress::report(Progress::Frame);
        let piece = this.rest.split_to(this.rest.len().min(FRAME));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        // The upper bound first: the lower one must not exceed it.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
