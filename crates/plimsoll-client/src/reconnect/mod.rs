//! When a stream of events is connected again. No transport: the caller reports what it sees.

mod event_stream;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

use self::event_stream::EventStream;
use crate::{Backoff, RetryHint};

/// The request header with the last event that was received (WHATWG HTML, section 9.2).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a client does after a connection has ended, or an attempt to connect has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconnecting {
    /// The connection is open.
    Open,
    /// Connect again after this time.
    After(Duration),
    /// Never connect again: the server does not want this client, or not this request.
    Stop,
}

/// Reconnects clients of server-sent events and of `WebSocket`s, with a [`Backoff`] and the position in
/// the stream.
///
/// The caller owns the transport. It reports responses, received bytes, and ends:
///
/// | event | call | then |
/// |---|---|---|
/// | about to connect | [`write_headers`](Self::write_headers) | `Last-Event-ID` is set |
/// | a response of an event stream | [`response`](Self::response) | open, or what is answered |
/// | bytes of its body | [`received`](Self::received) | `id:` and `retry:` are read |
/// | the body has ended, or an error | [`ended`](Self::ended) | a wait |
/// | a `WebSocket` has closed | [`closed`](Self::closed) | a wait, or the end, by its code |
///
/// The backoff starts again after an event (or [`opened`](Self::opened)): a server that accepts
/// connections and ends them at once is not connected to in a loop.
///
/// ```
/// use http::{HeaderMap, Response};
/// use plimsoll_client::{Backoff, Reconnect, Reconnecting};
///
/// let mut reconnect = Reconnect::new(Backoff::default());
/// let answer = Response::builder().header("content-type", "text/event-stream").body(())?;
/// assert_eq!(reconnect.response(answer.status(), answer.headers()), Reconnecting::Open);
/// reconnect.received(b"id: 7\nretry: 2000\ndata: hello\n\n");
/// let Reconnecting::After(wait) = reconnect.ended() else { unreachable!() };
/// assert!(wait.as_millis() >= 2000); // upwards from the server's `retry`
/// let mut headers = HeaderMap::new();
/// reconnect.write_headers(&mut headers);
/// assert_eq!(headers["last-event-id"], "7");
/// # Ok::<(), http::Error>(())
/// ```
#[doc(alias("EventSource", "SSE", "websocket"))]
#[derive(Debug)]
pub struct Reconnect {
    backoff: Backoff,
    longest_hint: Duration,
    stream: EventStream,
    failures: u32,
    waited: Duration,
}

impl Reconnect {
    /// Starts without a position. Hints of the server are shortened to one hour.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            longest_hint: Duration::from_secs(3600),
            stream: EventStream::default(),
            failures: 0,
            waited: Duration::ZERO,
        }
    }

    /// Starts after this event. An id with a NUL, CR or LF is ignored.
    #[must_use]
    pub fn from_event(mut self, id: &str) -> Self {
        self.stream.set_id(id.as_bytes());
        self
    }

    /// Returns the id of the last event that was received whole; `None` before the first, and after an
    /// empty id.
    pub fn last_event_id(&self) -> Option<&[u8]> {
        Some(self.stream.id()).filter(|id| !id.is_empty())
    }

    /// Writes `Last-Event-ID` and `Accept` for an event stream.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        let accept = HeaderValue::from_static("text/event-stream");
        headers.insert(http::header::ACCEPT, accept);
        match self.last_event_id().map(HeaderValue::from_bytes) {
            Some(Ok(id)) => headers.insert(LAST_EVENT_ID, id),
            Some(Err(_)) | None => headers.remove(LAST_EVENT_ID),
        };
    }

    /// Reads the head of a response to a request for an event stream.
    ///
    /// A 200 with `text/event-stream` is open. A 204 and every other answer below 500 end for good, as
    /// in browsers; 408, 425, 429 and 5xx are tried again, not before their `Retry-After`: other than
    /// browsers, a client that gives up on a 503 would never return after a deployment.
    pub fn response(&mut self, status: StatusCode, headers: &HeaderMap) -> Reconnecting {
        let is_stream = || {
            let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
            let essence = value.and_then(|value| value.split(|byte| *byte == b';').next());
            essence.is_some_and(|essence| {
                essence
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"text/event-stream")
            })
        };
        match status.as_u16() {
            200 if is_stream() => {
                self.stream.restart();
                Reconnecting::Open
            }
            408 | 425 | 429 | 500.. => match RetryHint::http(headers, self.longest_hint) {
                RetryHint::AtLeast(wait) => self.after(wait),
                _ => self.ended(),
            },
            _ => Reconnecting::Stop,
        }
    }

    /// Reads bytes of an event stream, in pieces of any size. Returns how many events they completed.
    pub fn received(&mut self, bytes: &[u8]) -> usize {
        let events = self.stream.read(bytes);
        if events > 0 {
            self.opened();
        }
        events
    }

    /// The connection works: the backoff starts again. For a `WebSocket`, after the first message.
    pub fn opened(&mut self) {
        self.failures = 0;
        self.waited = Duration::ZERO;
    }

    /// The connection has ended or failed. The wait is the backoff, upwards from the server's `retry:`.
    pub fn ended(&mut self) -> Reconnecting {
        let retry = self.stream.retry().unwrap_or_default();
        self.after(retry.min(self.longest_hint))
    }

    /// A `WebSocket` has closed with this code; `None` when the connection was lost.
    ///
    /// | code | |
    /// |---|---|
    /// | none, 1001 going away, 1005, 1006, 1011 internal error, 1012 restart, 1014 bad gateway | after the backoff |
    /// | 1013 try again later | after the backoff's maximum, and up to a tenth more |
    /// | 1000 normal, 1008 policy violation, all others | never |
    pub fn closed(&mut self, code: Option<u16>) -> Reconnecting {
        match code {
            None | Some(1001 | 1005 | 1006 | 1011 | 1012 | 1014) => self.ended(),
            Some(1013) => self.after(self.backoff.exponential(u32::MAX)),
            Some(_) => Reconnecting::Stop,
        }
    }

    /// Waits at least `least`, with jitter upwards.
    fn after(&mut self, least: Duration) -> Reconnecting {
        self.failures = self.failures.saturating_add(1);
        let random = fastrand::f64();
        let wait = self.backoff.wait(self.failures, self.waited, random);
        let spread = crate::backoff::scaled(least / 10, random);
        self.waited = wait;
        Reconnecting::After(least.saturating_add(wait.max(spread)))
    }
}
