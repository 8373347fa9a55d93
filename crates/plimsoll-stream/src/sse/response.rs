//! The answers of a topic.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, Request, StatusCode, Version,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE},
};
use plimsoll_core::{Http, Kind, Rejection};

use crate::{
    clock,
    hub::{Cursor, Resumed, SubscribeError, Subscription},
    queue::{Delivery, Weight},
    reject,
    sse::{
        acks::AckError,
        body::EventBody,
        connection::{Connection, Place},
        event::SseEvent,
        figures::count,
        frame::Frame,
        moves::Id,
        request::{From, from, reads_status},
        source::Source,
        topic::Topic,
        trace::Batch,
    },
};

const NAME: &str = "sse";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const X_STREAM_PAUSE: HeaderName = HeaderName::from_static("x-stream-pause");
const X_STREAM_CURSOR: HeaderName = HeaderName::from_static("x-stream-cursor");
const X_STREAM_MORE: HeaderName = HeaderName::from_static("x-stream-more");

impl Topic {
    /// Answers a request for the stream.
    ///
    /// It begins after `Last-Event-ID` or the query's `after`, if there is one. A client that is
    /// further behind than the low mark gets one poll's worth of events, and comes back.
    ///
    /// When there is no room, or the topic is closed: 503 with `retry-after` for a client that reads
    /// it, and else a stream with a `retry`, which ends at once.
    pub fn stream<B>(&self, request: &Request<B>) -> Response {
        let shared = &self.shared;
        let (uri, headers) = (request.uri(), request.headers());
        let from = from(uri, headers);
        let Ok(subscription) = self.subscribe(from) else {
            return self.no_room(request);
        };
        let Some(place) = Place::take(shared) else {
            return self.no_room(request);
        };
        count(&shared.figures.opened);
        let limits = &shared.limits;
        let is_behind = subscription.lag() > limits.marks.low;
        // A client that is still behind polls once more.
        let moved = from.moved().filter(|_| is_behind);
        if !is_behind && from.moved().is_some_and(|number| shared.moves.end(number)) {
            count(&shared.figures.returned);
        }
        let left = is_behind.then_some(limits.poll_events);
        if is_behind {
            count(&shared.figures.polled_streams);
        }
        let acked = limits.window.filter(|_| !is_behind);
        let acked = acked.map(|window| shared.acks.open(subscription.cursor().seq, window));
        let source = Source::new(subscription, limits.client_throttle().as_ref());
        let body = EventBody::new(Connection::new(place, source, acked, left, moved));
        let mut response = event_stream(Body::new(body));
        if request.version() < Version::HTTP_2 {
            let keep_alive = HeaderValue::from_static("keep-alive");
            response.headers_mut().insert(CONNECTION, keep_alive);
        }
        response
    }

    /// Answers a request for the events after the query's `after`, with an end: at most
    /// [`poll_events`](crate::sse::TopicBuilder::poll_events), none if there are none.
    ///
    /// The body has the frames of a stream. The header `x-stream-cursor` is the next `after`, and
    /// `x-stream-more: true` shows that there are more events now.
    ///
    /// # Errors in the answer
    ///
    /// With `retry-after` and `x-stream-pause: true`: 429 when the
    /// [throttle](crate::sse::TopicBuilder::throttle) of all clients has no token, 503 when the topic
    /// is closed.
    pub fn poll<B>(&self, request: &Request<B>) -> Response {
        let from = from(request.uri(), request.headers());
        let Ok(mut subscription) = self.subscribe(from) else {
            return self.full(request);
        };
        let limits = &self.shared.limits;
        let (mut frame, mut batch) = (Frame::default(), Batch::default());
        let mut id = Id {
            cursor: subscription.cursor(),
            moved: from.moved(),
        };
        frame.prime(limits.poll_after(), id);
        if let Resumed::Reset(reset) = subscription.resumed() {
            frame.reset(reset, id);
        }
        let now = clock::now();
        let (mut left, mut more) = (limits.poll_events, false);
        while let Ok(Some(delivery)) = subscription.try_recv() {
            match delivery {
                _ if left == 0 => {
                    more = true;
                    break;
                }
                Delivery::Item { seq, item } => {
                    let passes = limits.throttle.as_ref();
                    let passes = passes.map_or(Ok(()), |all| all.try_pass(item.weight(), now));
                    match passes {
                        Ok(()) => {}
                        Err(after) if left == limits.poll_events => {
                            return self.paused(request, Kind::OverQuota, after);
                        }
                        Err(_) => {
                            more = true;
                            break;
                        }
                    }
                    id.cursor.seq = seq;
                    frame.event(id, &item);
                    batch.add(seq, item.origin);
                    left -= 1;
                }
                Delivery::Gap(gap) => {
                    id.cursor.seq = gap.to;
                    frame.gap(gap, id);
                }
            }
        }
        count(&self.shared.figures.polls);
        batch.written(&limits.name);
        let mut response = event_stream(Body::from(frame.0.freeze()));
        let headers = response.headers_mut();
        if let Ok(cursor) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(X_STREAM_CURSOR, cursor);
        }
        let more = if more { "true" } else { "false" };
        headers.insert(X_STREAM_MORE, HeaderValue::from_static(more));
        response
    }

    fn subscribe(&self, from: From) -> Result<Subscription<SseEvent>, SubscribeError> {
        let subscriber = self.hub.subscriber().policy(self.shared.limits.lag_policy);
        match from {
            From::Now => subscriber,
            From::After(id) => subscriber.after(id.cursor),
            // A cursor of no hub: the client gets a reset.
            From::Malformed => subscriber.after(Cursor {
                epoch: !self.hub.cursor().epoch,
                seq: 0,
            }),
        }
        .subscribe()
    }

    /// Sends a client away for a while.
    fn no_room<B>(&self, request: &Request<B>) -> Response {
        count(&self.shared.figures.rejected);
        if reads_status(request.uri(), request.headers()) {
            return self.full(request);
        }
        let after = self.shared.limits.poll_after();
        let mut frame = Frame::default();
        frame.retry(after);
        event_stream(Body::from(frame.0.freeze()))
    }

    fn full<B>(&self, request: &Request<B>) -> Response {
        self.paused(request, Kind::Full, self.shared.limits.poll_after())
    }

    /// A rejection for a client that reads status and headers, counted.
    fn paused<B>(&self, request: &Request<B>, kind: Kind, after: Duration) -> Response {
        let figures = &self.shared.figures;
        count(match kind {
            Kind::OverQuota => &figures.answered_429,
            _ => &figures.answered_503,
        });
        paused(request, kind, after)
    }
}

/// The rejection with `retry-after` and `x-stream-pause`.
fn paused<B>(request: &Request<B>, kind: Kind, after: Duration) -> Response {
    let rejection = Rejection::new(NAME, kind);
    let rejection = match kind {
        // The bucket states when it has a token.
        Kind::OverQuota => rejection.with_retry_after(after),
        _ => rejection.with_estimated_retry_after(after),
    };
    let mut response = reject::respond(&Http::default(), request, &rejection);
    let pause = HeaderValue::from_static("true");
    response.headers_mut().insert(X_STREAM_PAUSE, pause);
    response
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store, no-transform"),
        (X_ACCEL_BUFFERING, "no"),
    ];
    (headers, body).into_response()
}

/// A rejected acknowledgement as a problem document.
impl IntoResponse for AckError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownConnection => StatusCode::NOT_FOUND,
            Self::OtherTopic | Self::NotSent { .. } => StatusCode::CONFLICT,
        };
        problem(status, &self.to_string())
    }
}

/// `detail` is text of this crate, without characters that JSON escapes.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    let code = status.as_u16();
    let title = status.canonical_reason().unwrap_or_default();
    let body = format!(r#"{{"title":"{title}","status":{code},"detail":"{detail}"}}"#);
    (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
}
