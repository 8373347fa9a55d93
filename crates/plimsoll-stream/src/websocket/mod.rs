//! WebSocket connections with a bounded queue per client (feature `websocket`).
//!
//! A server that awaits `socket.send` in the loop that produces messages is as slow as its slowest
//! client. One that queues messages without a bound runs out of memory. Here each client has a
//! queue with bounds in messages and bytes, a [policy](crate::QueuePolicy) for what is lost, and
//! limits after which it is disconnected.
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, extract::State, response::Response, routing::any};
//! use plimsoll_stream::{QueuePolicy, websocket::{Handshake, WebSocketLimits, WebSockets}};
//!
//! async fn prices(State(sockets): State<WebSockets>, handshake: Handshake) -> Response {
//!     sockets.accept(handshake, |client| async move {
//!         let sender = client.sender(); // for the task that publishes prices
//!         # _ = sender;
//!         while let Some(message) = client.recv().await {
//!             // Never waits: the oldest message of a slow client is dropped.
//!             if client.try_send(message).is_err() {
//!                 break; // the connection has ended
//!             }
//!         }
//!     })
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // 100 messages and 256 KiB per client; live data, so the oldest message is dropped.
//! let sockets = WebSocketLimits::new(100, QueuePolicy::DropOldest)
//!     .max_bytes(256 * 1024)
//!     .write_deadline(Duration::from_secs(5))
//!     .max_connections(2_000)
//!     .build()?;
//! let app = Router::new().route("/prices", any(prices)).with_state(sockets);
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(()) }
//! ```
//!
//! Serve it with a `BackpressureListener` (feature `listener`): without one, the kernel hides 2 to
//! 4 MiB per client before any queue grows. Keep the listener's write deadline longer than the one
//! here, so that a client that reads again gets a close frame and no reset.
//!
//! # Tasks
//!
//! A connection has three tasks: the one that axum spawns for the upgrade, which writes, and two
//! that this module spawns: the handler, and one that reads. So control frames, pauses and the
//! client's close are read while a write is blocked. The task that writes takes messages up to the
//! size of the [write buffer](WebSocketLimits::buffers) from the queue, and flushes them within the
//! [write deadline](WebSocketLimits::write_deadline).
//!
//! # Flow messages
//!
//! Text messages in JSON, in both directions:
//!
//! | message | from the server | from the client |
//! |---|---|---|
//! | `{"event":"flow.pause","reason":"buffer full"}` | the client's queue is above the high mark: read faster, or ask for less | send no data; flow messages, pings and a close are still sent |
//! | `{"event":"flow.pause","reason":"receive buffer full"}` | the application does not keep up: stop sending | as above |
//! | `{"event":"flow.resume"}` | both queues are below the low mark | send data again |
//! | `{"event":"flow.gap","from":3,"to":9,"reason":"oldest"}` | comes before the first message after a drop; the numbers count the messages to this client from 0 | malformed |
//!
//! While a client has paused, its queue fills, and the policy decides what is lost. A message of a
//! client is a flow message if it is a JSON object whose first member is `event`, with a string that
//! begins with `flow.`; it is not given to the application. A malformed or unknown one closes the
//! connection. [`flow_messages(false)`](WebSocketLimits::flow_messages) switches all of it off.
//!
//! # Pressure from the application to the client
//!
//! The application receives messages through a bounded queue. When it is full and one more message
//! has come, reading stops, and TCP makes the client wait. Control frames in front of that message
//! are answered; those behind it are in the kernel's buffer, unread, and are answered when the
//! application has taken a message. That time does not count as silence of the client.
//!
//! # How a connection ends
//!
//! | [reason](CloseReason) | code | cause |
//! |---|---|---|
//! | `WriteDeadline`, `OverMark`, `QueueBytes`, `Silent` | 4008, or 1013 by [`slow_code`](WebSocketLimits::slow_code) | a slow or absent client |
//! | `ControlFlood`, `MalformedFlow` | 1008 | bad input |
//! | `TooLarge` | 1009 | a message above its bound |
//! | `Protocol` | 1002 | broken frames or text |
//! | `Done` | 1000 | the handler has returned |
//! | `Panicked` | 1011 | the handler panicked |
//! | `Application` | its own | [`close`](ClientSender::close), [`close_all`](WebSockets::close_all), or a close frame in the queue |
//! | `Client`, `Lost` | none | the client closed, or vanished |
//!
//! The close frame is written behind what the socket holds already, and queued messages are
//! discarded (with `Done`, they are written first). After the
//! [close deadline](WebSocketLimits::close_deadline) the socket is dropped, whatever it holds. So a
//! client that reads nothing is gone after both deadlines, without having read the code.
//!
//! # Authentication
//!
//! Authentication and the check of the `origin` header are the application's: reject in the handler
//! before it calls [`accept`](WebSockets::accept), or in a layer. Browsers send cookies with
//! handshakes from any site.
//!
//! # Memory
//!
//! An idle connection uses less than 12 KiB, with the default buffers: 4 KiB of it is tungstenite's
//! read buffer (128 KiB by tungstenite's own default), the rest are tasks, queues and hyper's state
//! (`an_idle_connection_stays_within_the_documented_memory` measures it). One that is attacked or
//! slow is bounded by the sum of
//!
//! - the queue to the client: `max_bytes` (1 MiB);
//! - the write buffer, one message above it, and 16 KiB of answers to pings (up to 1 MiB and 24 KiB);
//! - the queue from the client: `inbound` (256 KiB);
//! - the message that is being read, and one that waits: 3 times `max_message_bytes` (192 KiB).
//!
//! tungstenite keeps the capacity of its buffers once they have grown.
//!
//! # Errors and panics
//!
//! Nothing in this module panics. Invalid settings are errors of
//! [`build`](WebSocketLimits::build).

mod check;
mod client;
mod connection;
mod control;
mod counters;
mod error;
mod failure;
mod figures;
mod flow;
mod handshake;
mod limits;
mod place;
mod reader;
mod reason;
mod registry;
mod sender;
mod shared;
mod socket;
mod sockets;
mod weight;
mod writer;

pub use self::{
    client::Client,
    error::InvalidWebSocket,
    handshake::Handshake,
    limits::WebSocketLimits,
    reason::{CloseReason, Closed},
    sender::ClientSender,
    sockets::WebSockets,
};
