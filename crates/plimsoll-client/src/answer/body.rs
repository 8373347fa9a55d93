//! The body of an answer, of which a part may have been read.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};

/// The result of reading a frame.
type FrameOf<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

/// What has been read of a body.
pub(super) type Read<B> = VecDeque<FrameOf<B>>;

/// The body of an answer: the callee's, or what has been read of it and then the rest.
///
/// A body is read ahead only when a gRPC call is decided by its trailers
/// ([`RetryBuilder::grpc_unary`](crate::RetryBuilder::grpc_unary)).
pub struct AnswerBody<B: Body> {
    kind: Kind<B>,
}

enum Kind<B: Body> {
    Unread(B),
    /// Performance: in a box, since answers are rarely read ahead and often moved (`instructions`,
    /// `retry@accept`).
    Read(Ahead<B>),
}

/// `None` while it is dropped.
struct Ahead<B: Body>(Option<Box<Parts<B>>>);

struct Parts<B: Body> {
    frames: Read<B>,
    rest: Option<B>,
}

impl<B: Body> AnswerBody<B> {
    #[inline]
    pub(super) fn unread(body: B) -> Self {
        Self {
            kind: Kind::Unread(body),
        }
    }

    pub(super) fn read(frames: Read<B>, rest: Option<B>) -> Self {
        Self {
            kind: Kind::Read(Ahead(Some(Box::new(Parts { frames, rest })))),
        }
    }
}

// No field is pinned: the frames are plain data, and the body is `Unpin` itself.
impl<B: Body + Unpin> Unpin for AnswerBody<B> {}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.kind {
            Kind::Unread(body) => Pin::new(body).poll_frame(cx),
            Kind::Read(ahead) => ahead.poll_frame(cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Unread(body) => body.is_end_stream(),
            Kind::Read(ahead) => ahead.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Unread(body) => body.size_hint(),
            Kind::Read(ahead) => ahead.size_hint(),
        }
    }
}

/// Performance: out of line, so that an unread body is read and dropped without a detour
/// (`instructions`, `retry@accept`).
impl<B: Body> Drop for Ahead<B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            discard(parts);
        }
    }
}

#[cold]
#[inline(never)]
fn discard<T>(parts: Box<T>) {
    drop(parts);
}

impl<B: Body + Unpin> Ahead<B> {
    #[cold]
    #[inline(never)]
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameOf<B>>> {
        let Some(Parts { frames, rest }) = self.0.as_deref_mut() else {
            return Poll::Ready(None);
        };
        match (frames.pop_front(), rest) {
            (Some(frame), _) => Poll::Ready(Some(frame)),
            (None, Some(body)) => Pin::new(body).poll_frame(cx),
            (None, None) => Poll::Ready(None),
        }
    }

    #[cold]
    #[inline(never)]
    fn is_end_stream(&self) -> bool {
        let is_end = |Parts { frames, rest }: &Parts<B>| {
            frames.is_empty() && rest.as_ref().is_none_or(Body::is_end_stream)
        };
        self.0.as_deref().is_none_or(is_end)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(Parts { frames, rest }) = self.0.as_deref() else {
            return SizeHint::with_exact(0);
        };
        let data = frames.iter().flatten().filter_map(Frame::data_ref);
        let read: u64 = data.map(|data| data.remaining() as u64).sum();
        let rest = rest.as_ref();
        let rest = rest.map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

impl<B: Body + fmt::Debug> fmt::Debug for AnswerBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unread(body) => body.fmt(f),
            Kind::Read(Ahead(parts)) => {
                let parts = parts.as_deref();
                let frames = parts.map_or(0, |parts| parts.frames.len());
                f.debug_struct("AnswerBody")
                    .field("frames", &frames)
                    .field("rest", &parts.and_then(|parts| parts.rest.as_ref()))
                    .finish()
            }
        }
    }
}

impl<B: Body + Default> Default for AnswerBody<B> {
    fn default() -> Self {
        Self::unread(B::default())
    }
}
