//! The response body, which ends the permit.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::http::SpeaksHttp;
use crate::{Announcement, Class, Classify as _, Cost, End, Hold, Spent, WaitsOn, panics};

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

/// A permit on its way to the end of a body, and what is known so far.
pub(super) struct Tracked<H> {
    pub(super) held: H,
    pub(super) class: Class,
    /// Bytes of data handed out.
    sent: u64,
    /// Bytes of data that the head promised, when the body itself does not report its length; else
    /// [`UNKNOWN`].
    promised: u64,
    /// The handler's report.
    cost: Option<Cost>,
    /// Whether only the trailers tell how the call went: gRPC.
    pub(super) awaits_trailers: bool,
}

/// `promised` when no length was promised.
const UNKNOWN: u64 = u64::MAX;

/// A permit that a body can carry: any [`Hold`] of a protocol that [speaks HTTP](SpeaksHttp).
pub trait Carried: Hold {
    /// Returns the class, given the trailers, or the head of a response without a body.
    fn end(&self, class: Class, metadata: &HeaderMap) -> Class;
    /// Returns the class of a body that ended with an error.
    fn broken(&self, class: Class) -> Class;
}

impl<H: Hold<Protocol: SpeaksHttp>> Carried for H {
    #[inline]
    fn end(&self, class: Class, metadata: &HeaderMap) -> Class {
        match class {
            Class::Rejected => class,
            class => self.protocol().http().classifier().end(class, metadata),
        }
    }
    #[inline]
    fn broken(&self, class: Class) -> Class {
        self.protocol().http().classifier().body_error(class)
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
        // Servers stop polling when the length says that no more data follows.
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

impl<H> Tracked<H> {
    #[inline]
    pub(super) fn new(held: H) -> Self {
        Self {
            held,
            class: Class::Success,
            sent: 0,
            promised: UNKNOWN,
            cost: None,
            awaits_trailers: false,
        }
    }

    /// Sets what the head says: the class so far, and the length of the body.
    #[inline]
    pub(super) fn expect(&mut self, class: Class, promised: Option<u64>) {
        self.class = class;
        self.promised = promised.unwrap_or(UNKNOWN);
    }

    /// Sets the class for a body that was dropped before its end. The service had answered, so the
    /// class of the head stays, unless trailers were to decide or a panic of the body dropped it.
    fn cut_off(&mut self) {
        if self.class == Class::Success && (self.awaits_trailers || std::thread::panicking()) {
            self.class = Class::cut_off();
        }
    }

    /// Reports to policies that watch bodies which side the body waits for.
    #[inline]
    pub(super) fn waits(&mut self, on: WaitsOn)
    where
        H: Hold,
    {
        if self.held.interests().body_waits() {
            self.held.body_waits(on);
        }
    }

    /// Sets the handler's cost report.
    pub(super) fn costing(&mut self, cost: Option<&Cost>) {
        self.cost = cost.cloned();
    }

    /// Returns whether the whole body has been handed out.
    fn is_whole<B: Body>(&self, body: &B) -> bool {
        body.is_end_stream() || body.size_hint().upper() == Some(0) || self.promised == self.sent
    }

    /// Records a frame; `true` when it was the last one.
    fn saw<B: Body>(&mut self, frame: &mut Frame<B::Data>, body: &B) -> bool
    where
        H: Carried,
    {
        if let Some(trailers) = frame.trailers_mut() {
            self.class = self.held.end(self.class, trailers);
            self.held.announce(&mut Announcement::to_trailers(trailers));
            return true;
        }
        if let Some(data) = frame.data_ref() {
            self.sent = self.sent.saturating_add(data.remaining() as u64);
        }
        body.is_end_stream()
    }

    /// Ends the permit of a call whose body was handed out, or that had none.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As in the gate.
    pub(super) fn settle(&mut self)
    where
        H: Hold,
    {
        self.settle_body(false);
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // As in the gate.
    fn settle_body(&mut self, body_dropped: bool)
    where
        H: Hold,
    {
        let spent = Spent {
            bytes: self.sent,
            cost: self.cost.as_ref().map_or(0, Cost::get),
        };
        let end = End {
            class: self.class,
            body_dropped,
        };
        self.held.settle_spent(end, spent);
    }
}

/// Returns the length in the head, when the body does not report its own.
#[inline]
pub(super) fn promised_length<B: Body>(response: &Response<B>) -> Option<u64> {
    if response.body().size_hint().exact().is_some() {
        return None;
    }
    response
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
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
