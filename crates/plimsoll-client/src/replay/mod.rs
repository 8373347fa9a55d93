//! Records what a request sends, so that it can be sent again.

mod body;
mod head;
mod method;
mod record;
mod target;

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Request, Uri, Version, uri::PathAndQuery};
use http_body::Body;
use plimsoll_core::protocol::BoxError;

pub use self::body::ReplayBody;
use self::{
    head::Fields,
    method::Known,
    record::Record,
    target::{At, Origin},
};
use crate::request::{Replay, ReplayRequest, is_idempotency_key, is_idempotent};

/// The head and the body of an HTTP request, for further attempts.
#[derive(Debug)]
pub struct HttpReplay<B>(Kept<B>);

// Performance: below 128 bytes, which are copied without a call, and with few parts that have to be
// dropped (`instructions`, `retry@accept`).
#[derive(Debug)]
enum Kept<B> {
    Bare(BareReplay),
    Whole(Whole<B>),
}

/// A method, a path and a version: all that an HTTP request without an authority, headers, extensions
/// and a body has.
#[derive(Debug)]
pub struct BareReplay {
    path: PathAndQuery,
    method: Known,
    version: Version,
}

#[derive(Debug)]
struct Whole<B> {
    /// `None` for a host alone, as in a `CONNECT`.
    path: Option<PathAndQuery>,
    origin: At,
    /// `None` for an extension method, which is in the rest.
    method: Option<Known>,
    version: Version,
    /// `None` without headers, extensions and a body. Performance: shared, since code that drops it is
    /// then short.
    rest: Option<Arc<Rest<B>>>,
    /// The body cannot be sent again: it is too large, or was not recorded.
    is_lost: bool,
}

#[derive(Debug)]
struct Rest<B> {
    /// An extension method.
    method: Option<Method>,
    fields: Fields,
    /// The body as far as it was sent.
    body: Option<Record<B>>,
}

impl<B> HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// Returns the body of the first attempt.
    #[inline(never)]
    fn record(&mut self, body: B, limit: usize) -> ReplayBody<B> {
        // A body that is known to be too large is neither wrapped nor recorded.
        let is_small = body.size_hint().lower() <= limit as u64;
        let Kept::Whole(Whole { rest, is_lost, .. }) = &mut self.0 else {
            return ReplayBody::once(body);
        };
        let Some(rest) = rest.as_mut().and_then(Arc::get_mut) else {
            return ReplayBody::once(body);
        };
        if !is_small {
            return ReplayBody::once(body);
        }
        let record = Record::new(body, limit);
        let attempt = record.attempt();
        rest.body = Some(record);
        *is_lost = false;
        attempt.map_or_else(ReplayBody::empty, ReplayBody::recorded)
    }

    fn method(&self) -> &Method {
        let rare = || self.rest()?.method.as_ref();
        let known = match &self.0 {
            Kept::Bare(bare) => Some(bare.method),
            Kept::Whole(whole) => whole.method,
        };
        known
            .map(Known::method)
            .or_else(rare)
            .unwrap_or(&Method::GET)
    }

    fn uri(&self) -> Uri {
        match &self.0 {
            Kept::Bare(bare) => target::uri(Some(&bare.path), None),
            Kept::Whole(whole) => target::uri(whole.path.as_ref(), whole.origin.0.as_ref()),
        }
    }

    fn version(&self) -> Version {
        match &self.0 {
            Kept::Bare(bare) => bare.version,
            Kept::Whole(whole) => whole.version,
        }
    }

    fn is_lost(&self) -> bool {
        matches!(&self.0, Kept::Whole(whole) if whole.is_lost)
    }

    fn rest(&self) -> Option<&Rest<B>> {
        match &self.0 {
            Kept::Bare(_) => None,
            Kept::Whole(whole) => whole.rest.as_deref(),
        }
    }

    fn body(&self) -> Option<&Record<B>> {
        self.rest()?.body.as_ref()
    }
}

impl<B> From<BareReplay> for HttpReplay<B> {
    #[inline]
    fn from(bare: BareReplay) -> Self {
        Self(Kept::Bare(bare))
    }
}

impl<B> Replay for HttpReplay<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Attempt = Request<ReplayBody<B>>;

    fn stop(&mut self) -> bool {
        !self.is_lost() && self.body().is_none_or(Record::stop)
    }

    fn is_complete(&self) -> bool {
        !self.is_lost() && self.body().is_none_or(Record::is_complete)
    }

    fn is_idempotent(&self) -> bool {
        let fields = self.rest().map(|rest| &rest.fields);
        let has_key = || {
            let names = fields.into_iter().flat_map(Fields::headers);
            names.into_iter().any(is_idempotency_key)
        };
        is_idempotent(self.method(), fields.map(Fields::extensions), has_key)
    }

    fn again(&mut self, edit: impl FnOnce(&mut HeaderMap)) -> Option<Self::Attempt> {
        if self.is_lost() {
            return None;
        }
        let body = match self.body() {
            None => ReplayBody::empty(),
            Some(record) => ReplayBody::recorded(record.attempt()?),
        };
        let mut attempt = Request::new(body);
        *attempt.method_mut() = self.method().clone();
        *attempt.uri_mut() = self.uri();
        *attempt.version_mut() = self.version();
        if let Some(rest) = self.rest() {
            rest.fields.write(&mut attempt);
        }
        edit(attempt.headers_mut());
        Some(attempt)
    }
}

#[inline(never)]
fn rest<B>(req: &Request<B>) -> Arc<Rest<B>> {
    let method = req.method();
    Arc::new(Rest {
        method: Known::of(method).is_none().then(|| method.clone()),
        fields: Fields::of(req.headers(), req.extensions()),
        body: None,
    })
}

impl<B> ReplayRequest for Request<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Attempt = Request<ReplayBody<B>>;
    type Replay = HttpReplay<B>;
    type Bare = BareReplay;

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

    #[inline]
    fn has_body(&self) -> bool {
        !self.body().is_end_stream()
    }

    // Performance: inlined, so that the parts are built in their places and not moved.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn keep(&self) -> HttpReplay<B> {
        let is_lost = self.has_body();
        let method = Known::of(self.method());
        let is_bare = !is_lost && self.headers().is_empty() && self.extensions().is_empty();
        HttpReplay(Kept::Whole(Whole {
            path: self.uri().path_and_query().cloned(),
            origin: At(Origin::of(self.uri())),
            method,
            version: self.version(),
            rest: (!is_bare || method.is_none()).then(|| rest(self)),
            is_lost,
        }))
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // as above
    fn keep_bare(&self) -> Option<BareReplay> {
        if self.has_body() || !self.headers().is_empty() || !self.extensions().is_empty() {
            return None;
        }
        if self.uri().authority().is_some() {
            return None;
        }
        Some(BareReplay {
            method: Known::of(self.method())?,
            path: self.uri().path_and_query()?.clone(),
            version: self.version(),
        })
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // as above
    fn first(self, limit: usize, kept: Option<&mut HttpReplay<B>>) -> Self::Attempt {
        match kept {
            Some(kept) if self.has_body() => self.map(|body| kept.record(body, limit)),
            // Performance: an empty body is sent as it is. If it were dropped here, the head would be
            // moved twice.
            _ => self.map(ReplayBody::once),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use http_body_util::Empty;

    use super::*;

    /// The head of a request's second attempt.
    fn again(req: &Request<Empty<bytes::Bytes>>, mut kept: impl Replay<Attempt = Attempt>) {
        let attempt = kept.again(|_| {}).unwrap();
        assert_eq!(attempt.method(), req.method());
        assert_eq!(attempt.uri(), req.uri());
        assert_eq!(attempt.version(), req.version());
        assert_eq!(attempt.headers(), req.headers());
    }

    type Attempt = Request<ReplayBody<Empty<bytes::Bytes>>>;

    #[test]
    fn the_head_is_the_same_in_further_attempts() {
        for (method, uri) in [
            ("GET", "/a?b"),
            ("PUT", "/"),
            ("LOCK", "/"),
            ("longer-than-fifteen-bytes", "/"),
            ("GET", "https://a.example:1/b?c"),
            ("CONNECT", "a.example:443"),
        ] {
            let req = Request::builder().method(method).uri(uri);
            let mut req = req.body(Empty::new()).unwrap();
            *req.version_mut() = Version::HTTP_2;
            again(&req, req.keep());
            let is_bare = ["GET", "PUT"].contains(&method) && uri.starts_with('/');
            match req.keep_bare() {
                Some(kept) => again(&req, HttpReplay::from(kept)),
                None => assert!(!is_bare, "{method} {uri}"),
            }
            req.headers_mut().insert("a", "b".parse().unwrap());
            assert!(req.keep_bare().is_none(), "the header is kept");
            again(&req, req.keep());
        }
    }
}
