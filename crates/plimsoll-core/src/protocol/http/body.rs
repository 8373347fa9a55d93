//! The response body, which ends the permit.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{carried::Carried, tracked::Tracked};
use crate::{WaitsOn, panics};

pin_project! {
    /// The body of a gate's response: the inner service's body with the permit, or the gate's own.
    ///
    /// The permit ends with the body: after the last frame, the trailers or an error, or when the
    /// body is dropped. A call whose body is dropped before its end keeps the class of its head,
    /// and [`Outcome::body_dropped`](crate::Outcome::body_dropped) is true. A gRPC call without
    /// trailers is [`Class::Cancelled`], since its head does not contain the result.
    pub struct GateBody<B, H>
    where
        B: Body,
        H: Carried,
    {
        #[pin]
        kind: Kind<B>,
        tracked: Option<Tracked<H>>,
    }

    impl<B, H> PinnedDrop for GateBody<B, H>
    where
        B: Body,
        H: Carried,
    {
        fn drop(this: Pin<&mut Self>) {
            if this.tracked.is_some() {
                this.drop_carrying();
            }
        }
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { bytes: Option<Bytes> },
    }
}

impl<B: Body, H: Carried> GateBody<B, H> {
    /// The inner service's body, with the permit if that is still held.
    #[inline]
    pub(super) fn carrying(body: B, tracked: Option<Tracked<H>>) -> Self {
        Self {
            kind: Kind::Inner { body },
            tracked,
        }
    }

    /// A body without a permit: the call is already settled.
    #[inline]
    pub fn settled(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
            tracked: None,
        }
    }

    /// The gate's own body.
    #[inline]
    pub fn own(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Own {
                bytes: Some(bytes).filter(Buf::has_remaining),
            },
            tracked: None,
        }
    }
}

impl<B: Body, H: Carried> GateBody<B, H> {
    /// Ends the permit of a dropped body.
    #[cold]
    fn drop_carrying(self: Pin<&mut Self>) {
        let this = self.project();
        let Some(mut tracked) = this.tracked.take() else {
            return;
        };
        // Servers stop polling when all data of the length was sent.
        let whole = match this.kind.project() {
            KindProj::Inner { body } => tracked.is_whole(&body),
            KindProj::Own { .. } => true,
        };
        if !whole {
            tracked.cut_off();
        }
        panics::in_drop(|| tracked.settle_body(!whole));
    }
}

/// An empty body without a permit. Layers put it in place of a body that they drop.
impl<B: Body, H: Carried> Default for GateBody<B, H> {
    fn default() -> Self {
        Self::own(Bytes::new())
    }
}

impl<B, H> Body for GateBody<B, H>
where
    B: Body,
    B::Data: From<Bytes>,
    H: Carried,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let mut body = match this.kind.project() {
            KindProj::Inner { body } => body,
            KindProj::Own { bytes } => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes.into()))));
            }
        };
        let polled = body.as_mut().poll_frame(cx);
        let Some(tracked) = this.tracked else {
            return polled;
        };
        let Poll::Ready(mut polled) = polled else {
            tracked.waits(WaitsOn::Service);
            return Poll::Pending;
        };
        let over = match &mut polled {
            None => true,
            Some(Ok(frame)) => tracked.saw(frame, &*body),
            Some(Err(_)) => {
                tracked.class = tracked.held.broken(tracked.class);
                true
            }
        };
        if over {
            tracked.settle();
            *this.tracked = None;
        } else {
            tracked.waits(WaitsOn::Caller);
        }
        Poll::Ready(polled)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
        }
    }
}

impl<B: Body, H: Carried> fmt::Debug for GateBody<B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Inner { .. } if self.tracked.is_some() => "carrying",
            Kind::Inner { .. } => "settled",
            Kind::Own { .. } => "own",
        };
        f.debug_tuple("GateBody").field(&kind).finish()
    }
}
