//! The body of an attempt.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use plimsoll_core::protocol::BoxError;

use super::record::Attempt;

/// The body of one attempt of a request: what earlier attempts have sent, then the rest of the
/// original body.
///
/// Its data is `Bytes`; data of other types is copied into it.
#[derive(Debug)]
pub struct ReplayBody<B> {
    kind: Kind<B>,
}

#[derive(Debug)]
enum Kind<B> {
    Empty,
    Once(B),
    Recorded(Attempt<B>),
}

impl<B> ReplayBody<B> {
    #[inline]
    pub(super) fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    #[inline]
    pub(super) fn once(body: B) -> Self {
        Self {
            kind: Kind::Once(body),
        }
    }

    #[inline]
    pub(super) fn recorded(attempt: Attempt<B>) -> Self {
        Self {
            kind: Kind::Recorded(attempt),
        }
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Once(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                let frame = frame?
                    .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())));
                Some(frame.map_err(Into::into))
            }),
            Kind::Recorded(attempt) => attempt.poll_frame(cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Once(body) => body.is_end_stream(),
            Kind::Recorded(attempt) => attempt.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Once(body) => body.size_hint(),
            Kind::Recorded(attempt) => attempt.size_hint(),
        }
    }
}
