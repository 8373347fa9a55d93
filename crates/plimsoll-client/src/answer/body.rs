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
    Read(Box<Ahead<B>>),
}

struct Ahead<B: Body> {
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
            kind: Kind::Read(Box::new(Ahead { frames, rest })),
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

/// Performance: out of line, so that an unread body is read without a detour.
impl<B: Body + Unpin> Ahead<B> {
    #[cold]
    #[inline(never)]
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameOf<B>>> {
        match (self.frames.pop_front(), &mut self.rest) {
            (Some(frame), _) => Poll::Ready(Some(frame)),
            (None, Some(body)) => Pin::new(body).poll_frame(cx),
            (None, None) => Poll::Ready(None),
        }
    }

    #[cold]
    #[inline(never)]
    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.frames.iter().flatten().filter_map(Frame::data_ref);
        let read: u64 = data.map(|data| data.remaining() as u64).sum();
        let rest = self.rest.as_ref();
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
            Kind::Read(ahead) => f
                .debug_struct("AnswerBody")
                .field("frames", &ahead.frames.len())
                .field("rest", &ahead.rest)
                .finish(),
        }
    }
}

impl<B: Body + Default> Default for AnswerBody<B> {
    fn default() -> Self {
        Self::unread(B::default())
    }
}
