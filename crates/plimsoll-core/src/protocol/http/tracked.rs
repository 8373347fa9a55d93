//! A permit on its way to the end of a body.

use ::http::{HeaderMap, Response, header::CONTENT_LENGTH};
use bytes::Buf as _;
use http_body::{Body, Frame};

use super::carried::Carried;
use crate::{Announcement, Class, Cost, End, Hold, Interests, Spent, WaitsOn, retry_after};

/// A permit on its way to the end of a body, and what is known so far.
pub(super) struct Tracked<H> {
    pub(super) held: H,
    pub(super) class: Class,
    /// Bytes of data handed out.
    sent: u64,
    /// Bytes of data that the head promised, if the body itself does not report its length, or
    /// [`UNKNOWN`].
    promised: u64,
    /// The handler's report.
    cost: Option<Cost>,
    /// Whether only the trailers show how the call ended: gRPC.
    pub(super) awaits_trailers: bool,
}

/// `promised` when no length was promised.
const UNKNOWN: u64 = u64::MAX;

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

    /// Sets what the head contains: the class so far, and the length of the body.
    #[inline]
    pub(super) fn expect(&mut self, class: Class, promised: Option<u64>) {
        self.class = class;
        self.promised = promised.unwrap_or(UNKNOWN);
    }

    /// Sets the class for a body that was dropped before its end. The service had answered, so the
    /// class of the head stays, unless trailers were to decide or a panic of the body dropped it.
    pub(super) fn cut_off(&mut self) {
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
        if self.held.interests(Interests::BODY_WAITS).body_waits() {
            self.held.body_waits(on);
        }
    }

    /// Sets the handler's cost report.
    pub(super) fn costing(&mut self, cost: Option<&Cost>) {
        self.cost = cost.cloned();
    }

    /// Returns whether the whole body has been handed out.
    pub(super) fn is_whole<B: Body>(&self, body: &B) -> bool {
        body.is_end_stream() || body.size_hint().upper() == Some(0) || self.promised == self.sent
    }

    /// Records a frame; `true` when it was the last one.
    pub(super) fn saw<B: Body>(&mut self, frame: &mut Frame<B::Data>, body: &B) -> bool
    where
        H: Carried,
    {
        if let Some(trailers) = frame.trailers_mut() {
            self.saw_trailers(trailers);
            return true;
        }
        if let Some(data) = frame.data_ref() {
            self.sent = self.sent.saturating_add(data.remaining() as u64);
        }
        body.is_end_stream()
    }

    /// Reads and writes the trailers of an answer. Those of a gRPC call that failed after its head may
    /// ask callers to wait.
    ///
    /// Performance: out of line, so that the path of a body without trailers stays short
    /// (`instructions`, `circuit-breaker@accept`).
    #[cold]
    #[inline(never)]
    fn saw_trailers(&mut self, trailers: &mut HeaderMap)
    where
        H: Carried,
    {
        self.class = self.held.end(self.class, trailers);
        if matches!(self.class, Class::Failure | Class::Overloaded) {
            if let Some(wait) = retry_after::wait(trailers) {
                self.held.asked_to_wait(wait);
            }
        }
        self.held.announce(&mut Announcement::to_trailers(trailers));
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
    pub(super) fn settle_body(&mut self, body_dropped: bool)
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
