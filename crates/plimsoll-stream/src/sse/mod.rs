//! Server-sent events that survive slow clients: resume, acknowledgements, and a poll endpoint.
//!
//! A [`Topic`] keeps the last events once, for all clients. Each client has a place among them, so a
//! slow one costs no memory beyond its connection, and never slows the others.
//!
//! ```no_run
//! use axum::Router;
//! use plimsoll_stream::sse::{SseEvent, Topic};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let ticks = Topic::builder().build()?;
//! let app: Router = Router::new().nest("/ticks", ticks.router());
//!
//! ticks.publish(SseEvent::new("17").event("price")?)?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(()) }
//! ```
//!
//! In the browser, `new EventSource("/ticks")` is all that is needed: it reconnects by itself, and
//! its `Last-Event-ID` continues after the last event.
//!
//! # Routes
//!
//! | route | what |
//! |---|---|
//! | `GET /` | the stream: `text/event-stream` |
//! | `GET /poll?after=ID` | the events after one, at once: the same frames, with an end |
//! | `POST /ack?connection=ID` | the body is the id of the last event that was processed |
//!
//! [`Topic::stream`], [`Topic::poll`] and [`Topic::acknowledge`] are the same for a router of your
//! own. Access to a topic is for the application to check, in a layer around the routes or in its
//! own handlers: an id states from where to read, and gives no access. The id of a connection is
//! random and secret, so that no client acknowledges for another.
//!
//! # What a client sees
//!
//! | frame | meaning |
//! |---|---|
//! | `retry: 3000`, and an `id` without data | the first frame; it dispatches nothing |
//! | `id: EPOCH.SEQ`, `event`, `data` | an event; the id is opaque, and has a third part while a client polls |
//! | `event: reset`, data `{"reason":"too_old","from":7,"to":90}` | the client's id was of no use: it must load its state again; what follows is after `to` |
//! | `event: gap`, data `{"from":7,"to":9,"reason":"oldest"}` | the events 7 to 9 were lost |
//! | `event: flow`, data `{"event":"flow.pause","reason":"buffer full"}` | the client is slow |
//! | `event: flow`, data `{"event":"flow.resume"}` | it has caught up |
//! | `id`, `event: flow`, data `{"event":"flow.poll",..}`, then the end | the client is moved to polling |
//! | `event: open`, data `{"connection":"..","window":100}` | acknowledgements are expected |
//! | `:` | a heartbeat, after 15 s without a frame |
//!
//! # A slow client
//!
//! 1. More events go into one frame. With [`TopicBuilder::coalesce`], a client that exceeds even the
//!    overflow gets the latest event of each key.
//! 2. Above the high mark of its buffer it is notified, and again when it is below the low mark.
//! 3. Beyond its buffer, the topic's log is its overflow, for as long as events are kept.
//! 4. When it stays there, it is moved to polling: the stream ends with `retry`, so that a browser
//!    comes back with its last id, and gets events at that pace until it has caught up.
//!
//! A native `EventSource` that gets a 429, 503 or 204 never tries again, and cannot read headers. So
//! when there is no room, it gets a stream with a `retry`, which ends at once. A client that
//! declares itself, by the header `x-stream-client: fetch` or the query `client=fetch`, gets a 429
//! or 503 with `retry-after` and `x-stream-pause: true`, as the poll endpoint does.
//!
//! # Proxies and sockets
//!
//! The response has `x-accel-buffering: no`, without which nginx buffers up to 1 GiB for a client
//! that reads nothing. The kernel of the server hides about 4 MiB from the stream; serve it through
#![cfg_attr(
    feature = "listener",
    doc = "[`BackpressureListener`](crate::listener::BackpressureListener),"
)]
#![cfg_attr(
    not(feature = "listener"),
    doc = "`BackpressureListener` (feature `listener`),"
)]
//! which also ends the connection of a client that reads nothing.
//!
//! # Tracing
//!
//! With the feature `tracing`, spans and events of `tracing` with the target `plimsoll_stream::sse`
//! follow what is published to the client. None is above the level `DEBUG`:
//!
//! | span or message | level | when |
//! |---|---|---|
//! | `delivery`, a span for each event and client | `DEBUG` | from when the event is written to its acknowledgement (`acknowledged=true`), or the end of the connection; with `seq` |
//! | `acknowledged`, one for each batch | `DEBUG` | a client acknowledges, with [`TopicBuilder::acknowledge`] |
//! | `written`, one for each batch | `TRACE` | a frame or a poll is written, in a topic without acknowledgements |
//!
//! Fields: `topic`, the numbers `from` and `to` of a batch, `age_seconds` since the oldest of them
//! was published, and `span`, the id of the span in which it was. The id is a number for logs: a
//! subscriber may use it again after the span was closed, and the publisher's span is not kept open.
//!
//! While no subscriber enables the level, the cost is one check for each publication. An event has
//! 32 bytes more with the feature, and a client that acknowledges up to 80 bytes for each event of
//! its window. A panic of the subscriber is caught.

mod acks;
mod body;
mod connection;
mod event;
mod figures;
mod frame;
mod ladder;
mod limits;
mod moves;
mod positions;
mod request;
mod response;
mod routes;
mod settings;
mod source;
mod topic;
mod trace;

#[cfg(feature = "metrics")]
pub(crate) use self::figures::Figures;
pub(crate) use self::topic::Shared as TopicShared;
pub use self::{
    acks::AckError,
    body::EventBody,
    event::{InvalidEvent, SseEvent},
    figures::TopicCounters,
    settings::{InvalidTopic, TopicBuilder},
    topic::Topic,
};
