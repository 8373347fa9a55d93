//! Records what a request sends, so that it can be sent again.

mod body;
mod head;
mod record;

use http::{Extensions, HeaderMap, Method, Request};
use http_body::Body;
use plimsoll_core::protocol::BoxError;

pub use self::body::ReplayBody;
use self::{head::Head, record::Record};
use crate::request::{Replay, ReplayRequest};

/// The head and the body of an HTTP request, for further attempts.
#[derive(Debug)]
pub struct HttpReplay<B> {
    head: Head,
    /// The body as far as it was sent; `None` for a request without a body.
    body: Option<Record<B>>,
}

impl<B> HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    // Performance: inlined, so that the attempt is built in its place and not moved.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn record(
        req: Request<B>,
        limit: usize,
        kept: &mut Option<Self>,
    ) -> Request<ReplayBody<B>> {
        let mut sent = ReplayBody::empty();
        if req.body().is_end_stream() {
            let (head, body) = (Head::of(&req), None);
            *kept = Some(Self { head, body });
            return req.map(|_| sent);
        }
        // A body that is known to be too large is neither wrapped nor recorded.
        if req.body().size_hint().lower() <= limit as u64 {
            *kept = Some(Self {
                head: Head::of(&req),
                body: None,
            });
        }
        let (parts, body) = req.into_parts();
        match kept {
            Some(kept) => {
                let record = Record::new(body, limit);
                if let Some(attempt) = record.attempt() {
                    sent = ReplayBody::recorded(attempt);
                }
                kept.body = Some(record);
            }
            None => sent = ReplayBody::once(body),
        }
        Request::from_parts(parts, sent)
    }
}

impl<B> Replay for HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Attempt = Request<ReplayBody<B>>;

    fn stop(&mut self) -> bool {
        self.body.as_ref().is_none_or(Record::stop)
    }

    fn is_complete(&self) -> bool {
        self.body.as_ref().is_none_or(Record::is_complete)
    }

    fn again(&mut self, edit: impl FnOnce(&mut HeaderMap)) -> Option<Self::Attempt> {
        let body = match &self.body {
            None => ReplayBody::empty(),
            Some(record) => ReplayBody::recorded(record.attempt()?),
        };
        let mut attempt = self.head.request(body);
        edit(attempt.headers_mut());
        Some(attempt)
    }
}

impl<B> ReplayRequest for Request<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Attempt = Request<ReplayBody<B>>;
    type Replay = HttpReplay<B>;

    #[inline]
    fn method(&self) -> &Method {
        self.method()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    #[inline]
    fn extensions(&self) -> Option<&Extensions> {
        Some(self.extensions())
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // see `HttpReplay::record`
    fn record(self, limit: usize, kept: &mut Option<HttpReplay<B>>) -> Self::Attempt {
        HttpReplay::record(self, limit, kept)
    }
}
