//! Streams: requests whose duration is up to their caller.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, UPGRADE},
};
use http_body::Body;
use plimsoll_core::{
    Http, Kind, Rejection, RequestHead,
    protocol::{
        Answer, Classify, GateBody, Hold, HttpCall, Never, Protocol, ServerClassifier, SpeaksHttp,
    },
};

/// The retry time where the policy gives no hint: 3 seconds, in the range that the HTML
/// standard suggests.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Returns whether a request asks for a stream: server-sent events, an upgrade, or a tunnel.
///
/// Every caller can ask for a stream on any route. So use this for logs or counters, and do not
/// choose a limit by it: a request to an ordinary route that asks for a stream would be counted
/// against the larger limit for streams.
///
/// A stream holds its slot until its caller ends it, so a few streams would use up a limit that is
/// meant for requests. Give the routes of streams a limit of their own:
///
/// ```
/// use plimsoll_concurrency::ConcurrencyLimit;
/// use plimsoll_core::{Choose, GateLayer, Route};
/// # fn serves<P: plimsoll_core::Policy<http::Request<String>>>(_: GateLayer<P>) {}
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
/// // 64 requests at a time, and 5,000 open streams beside them.
/// let (requests, streams) = (ConcurrencyLimit::new(64)?, ConcurrencyLimit::new(5_000)?);
/// let cases = [("/events", streams)];
/// let layer = GateLayer::new(Choose::by(Route::matched(), cases, requests));
/// # serves(layer);
/// # Ok(())
/// # }
/// ```
///
/// The slot of server-sent events is released at the end of the response body. A WebSocket's
/// response has no body: leave a [`Handover`](plimsoll_core::Handover) in the response, and keep
/// its claim while the socket is open. Either way latency ends at the response head. An adaptive
/// limit measures nothing useful on streams, so use a fixed limit for them.
///
/// A request asks for a stream with `text/event-stream` in `accept`, with an `upgrade` other than
/// to HTTP/2, or with the method `CONNECT`, which opens a `WebSocket` over HTTP/2.
pub fn asks_for_stream<B>(req: &Request<B>) -> bool {
    let upgrade = req.headers().get(UPGRADE);
    upgrade.is_some_and(|to| !to.as_bytes().starts_with(b"h2"))
        || req.method() == Method::CONNECT
        || accepts_events(req)
}

/// Whether `text/event-stream` is among the media types of `accept`.
fn accepts_events<B>(req: &Request<B>) -> bool {
    let lines = req.headers().get_all(ACCEPT).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(|range| {
            let media = range.split(|byte| *byte == b';').next().unwrap_or_default();
            media
                .trim_ascii()
                .eq_ignore_ascii_case(EVENT_STREAM.as_bytes())
        })
}

/// Speaks [`Http`], and rejects event streams in a way that browsers retry.
///
/// A browser's `EventSource` does not reconnect after a status other than 200, despite
/// `retry-after` ([HTML, 9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html)). So a `GET` that accepts
/// `text/event-stream` is rejected with 200 and an event stream that contains only a `retry:` field
/// and then ends. The browser connects again after that time: the policy's hint (3 seconds without
/// one), times a random factor of 1 to 2, so that callers that were rejected together do not return
/// together. The other header fields are those of the usual rejection.
///
/// For clients other than browsers the usual 503 with `retry-after` may be better: use [`Http`] for
/// those.
///
/// ```
/// use plimsoll_concurrency::{ConcurrencyLimit, EventStreams};
/// use plimsoll_core::{GateLayer, Http, Kind};
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
/// let layer = GateLayer::builder(ConcurrencyLimit::new(5_000)?)
///     .protocol(EventStreams::new(Http::new()).stop_on(Kind::OverQuota))
///     .build();
/// # let _: GateLayer<ConcurrencyLimit, EventStreams> = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EventStreams<C = ServerClassifier> {
    http: Http<C>,
    stops: [bool; Kind::ALL.len()],
}

impl<C> EventStreams<C> {
    /// Uses `http` for everything except rejected event streams.
    pub const fn new(http: Http<C>) -> Self {
        Self {
            http,
            stops: [false; Kind::ALL.len()],
        }
    }

    /// Rejects event streams with 204 for reasons of this kind; the browser then does not
    /// reconnect.
    #[must_use]
    pub fn stop_on(mut self, kind: Kind) -> Self {
        self.stops[kind.index()] = true;
        self
    }
}

impl<C> fmt::Debug for EventStreams<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStreams")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl<C: Classify> SpeaksHttp for EventStreams<C> {
    type Classifier = C;

    #[inline]
    fn http(&self) -> &Http<C> {
        &self.http
    }
}

impl<C, R, B, E> Protocol<Request<R>, Response<B>, E> for EventStreams<C>
where
    C: Classify,
    B: Body,
{
    type Call = HttpCall;
    type Response<H: Hold<Protocol = Self>> = Response<GateBody<B, H>>;
    type Error = E;
    type Later<H: Hold<Protocol = Self>> = Never<Result<Self::Response<H>, E>>;

    #[inline]
    fn begin(&self, req: &Request<R>) -> HttpCall {
        HttpCall::begin(req)
    }

    fn reject<H: Hold<Protocol = Self>>(
        &self,
        _: HttpCall,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        let mut response = self.http.rejection(req, rejection);
        if req.method() == Method::GET && accepts_events(req) {
            let (mut head, _) = response.into_parts();
            let stop = self.stops[rejection.kind().index()];
            let body = if stop {
                head.status = StatusCode::NO_CONTENT;
                head.headers.remove(CONTENT_TYPE);
                Bytes::new()
            } else {
                head.status = StatusCode::OK;
                head.headers.insert(CONTENT_TYPE, EVENT_STREAM);
                retry(rejection.retry_after().unwrap_or(DEFAULT_RETRY))
            };
            response = Response::from_parts(head, GateBody::own(body));
        }
        Answer::Now(Ok(response))
    }

    #[inline]
    fn received<H: Hold<Protocol = Self>>(held: &H, result: &mut Result<Response<B>, E>) {
        HttpCall::received(held, result);
    }

    #[inline]
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        call: HttpCall,
        result: Result<Response<B>, E>,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        Answer::Now(call.conclude(held, result))
    }

    fn head_of<'a>(&self, req: &'a Request<R>) -> Option<RequestHead<'a>> {
        Some(req.into())
    }

    #[inline]
    fn inner_error(error: E) -> E {
        error
    }
}

/// Returns the `retry:` field: milliseconds, rounded up, uniform between `wait` and twice that.
fn retry(wait: Duration) -> Bytes {
    let least = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let least = least.clamp(1, u64::MAX / 2);
    let millis = least + fastrand::u64(0..=least);
    format!("retry: {millis}\n\n").into()
}
