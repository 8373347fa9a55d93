//! Records what a request sends, so that it can be sent again.

mod body;
mod head;
mod record;

use http::{HeaderMap, Request};
use http_body::Body;
use plimsoll_core::protocol::BoxError;

pub use self::body::ReplayBody;
use self::{head::Head, record::Record};
use crate::request::Replay;

/// The head and the body of an HTTP request, for further attempts.
#[derive(Debug)]
pub struct HttpReplay<B> {
    kept: Kept<B>,
}

#[derive(Debug)]
enum Kept<B> {
    /// Nothing: the body is larger than the limit.
    Nothing,
    /// The head of a request without a body.
    Head(Head),
    /// The head, and the body as far as it was sent.
    Body(Head, Record<B>),
}

impl<B> HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    // Performance: inlined, so that the attempt is built in its place and not moved.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn record(req: Request<B>, limit: usize) -> (Request<ReplayBody<B>>, Self) {
        if req.body().is_end_stream() {
            let kept = Kept::Head(Head::of(&req));
            return (req.map(|_| ReplayBody::empty()), Self { kept });
        }
        Self::record_body(req, limit)
    }

    #[inline(never)]
    fn record_body(req: Request<B>, limit: usize) -> (Request<ReplayBody<B>>, Self) {
        // Performance: a body that is known to be too large is neither wrapped nor recorded.
        if req.body().size_hint().lower() > limit as u64 {
            let kept = Kept::Nothing;
            return (req.map(ReplayBody::once), Self { kept });
        }
        let head = Head::of(&req);
        let (parts, body) = req.into_parts();
        let record = Record::new(body, limit);
        let body = record
            .attempt()
            .map_or_else(ReplayBody::empty, ReplayBody::recorded);
        let kept = Kept::Body(head, record);
        (Request::from_parts(parts, body), Self { kept })
    }
}

impl<B> Replay for HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Attempt = Request<ReplayBody<B>>;

    fn stop(&mut self) -> bool {
        match &self.kept {
            Kept::Nothing => false,
            Kept::Head(_) => true,
            Kept::Body(_, record) => record.stop(),
        }
    }

    fn is_complete(&self) -> bool {
        match &self.kept {
            Kept::Nothing => false,
            Kept::Head(_) => true,
            Kept::Body(_, record) => record.is_complete(),
        }
    }

    fn again(&mut self, edit: impl FnOnce(&mut HeaderMap)) -> Option<Self::Attempt> {
        let (head, body) = match &self.kept {
            Kept::Nothing => return None,
            Kept::Head(head) => (head, ReplayBody::empty()),
            Kept::Body(head, record) => (head, ReplayBody::recorded(record.attempt()?)),
        };
        let mut attempt = head.request(body);
        edit(attempt.headers_mut());
        Some(attempt)
    }
}
