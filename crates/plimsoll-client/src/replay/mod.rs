//! Records what a request sends, so that it can be sent again.

mod body;
mod record;

use http::{HeaderMap, Request, request::Parts};
use http_body::Body;
use plimsoll_core::protocol::BoxError;

pub use self::body::ReplayBody;
use self::record::Record;
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
    Head(Parts),
    /// The head, and the body as far as it was sent.
    Body(Parts, Record<B>),
}

impl<B> HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    #[inline]
    pub(crate) fn record(req: Request<B>, limit: usize) -> (Request<ReplayBody<B>>, Self) {
        let (head, body) = req.into_parts();
        if body.is_end_stream() {
            let kept = Kept::Head(head.clone());
            return (
                Request::from_parts(head, ReplayBody::empty()),
                Self { kept },
            );
        }
        // Performance: a body that is known to be too large is neither wrapped nor recorded.
        if body.size_hint().lower() > limit as u64 {
            let attempt = Request::from_parts(head, ReplayBody::once(body));
            let kept = Kept::Nothing;
            return (attempt, Self { kept });
        }
        let record = Record::new(body, limit);
        let body = record
            .attempt()
            .map_or_else(ReplayBody::empty, ReplayBody::recorded);
        let attempt = Request::from_parts(head.clone(), body);
        let kept = Kept::Body(head, record);
        (attempt, Self { kept })
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
        let mut head = head.clone();
        edit(&mut head.headers);
        Some(Request::from_parts(head, body))
    }
}
