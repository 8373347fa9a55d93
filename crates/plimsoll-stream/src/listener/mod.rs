//! Sockets that report a slow client after KiB instead of MiB (feature `listener`).
//!
//! By default a kernel takes 2 to 4 MiB from the server for a client that reads nothing. Until
//! then no queue in the server grows, and no write blocks. [`BackpressureListener`] changes this on
//! each accepted socket:
//!
//! | setting | default | effect |
//! |---|---|---|
//! | [`unsent_low_water`](BackpressureListenerBuilder::unsent_low_water) | 16 KiB | `TCP_NOTSENT_LOWAT`: a write blocks while more is unsent |
//! | [`write_deadline`](BackpressureListenerBuilder::write_deadline) | 10 s | a write that is blocked for longer fails, and the server closes the connection |
//! | [`user_timeout`](BackpressureListenerBuilder::user_timeout) | 30 s | `TCP_USER_TIMEOUT`: the kernel closes a connection whose data is not acknowledged |
//! | [`keep_alive`](BackpressureListenerBuilder::keep_alive) | 15 s | `SO_KEEPALIVE`: finds a vanished peer of an idle connection |
//! | [`nodelay`](BackpressureListenerBuilder::nodelay) | on | `TCP_NODELAY`: small messages are sent at once |
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::Router;
//! use plimsoll_stream::listener::BackpressureListener;
//! use tokio::net::TcpListener;
//!
//! # async fn run(app: Router) -> Result<(), Box<dyn std::error::Error>> {
//! let listener = BackpressureListener::builder(TcpListener::bind("0.0.0.0:3000").await?)
//!     .write_deadline(Some(Duration::from_secs(5)))
//!     .build()?;
//! let handle = listener.handle(); // counters and gauges
//! axum::serve(listener, app).await?;
//! # drop(handle);
//! # Ok(()) }
//! ```
//!
//! # Why a write deadline
//!
//! While a server cannot write, it polls neither the response's stream nor the WebSocket's task. So
//! no code of a handler can find out that its client has stopped reading. The write itself can: an
//! error makes hyper drop the connection, and with it the stream, whose `Drop` runs. This holds for
//! server-sent events, downloads and upgraded sockets over HTTP/1.
//!
//! Over HTTP/2 a client can close the window of one stream and read the others, which blocks no
//! write. There each stream needs a deadline of its own, which `grpc::StreamServer` has.
//!
//! The deadline counts from the first blocked write, and starts again with each write that made
//! progress. A client that reads a little now and then is not disconnected; what it misses is
//! decided by the [policy](crate::QueuePolicy) of its queue.
//!
//! # Composition
//!
//! It wraps any [`Listener`](axum::serve::Listener) of TCP streams, and other listeners wrap it:
//! `BoundedListener::new(BackpressureListener::new(tcp), 10_000)?`. Wrap the innermost one, below
//! TLS. For tonic, [`incoming`](BackpressureListener::incoming) returns the connections as a stream.
//! Servers that use hyper-util call [`wrap`](BackpressureListener::wrap).
//!
//! # Operating systems
//!
//! | | Linux, Android | other |
//! |---|---|---|
//! | `TCP_NOTSENT_LOWAT` | yes | not set: the kernel hides its whole send buffer |
//! | `TCP_USER_TIMEOUT` | yes (Fuchsia and Cygwin, too) | not set |
//! | write deadline, keep-alive, `TCP_NODELAY`, counters | yes | yes |
//! | [unsent bytes](Unsent) | yes | `None` |
//!
//! # Cost
//!
//! Four system calls per connection, two relaxed atomic additions per read or write, one allocation
//! per connection, and one more when a write of it blocks for the first time. It spawns nothing.

mod builder;
mod connect_info;
mod connection;
mod counters;
mod error;
mod handle;
mod incoming;
mod io;
mod kernel;
mod netlink;
mod options;
mod tcp;
#[cfg(feature = "tonic")]
mod tonic;
mod unsent;

pub use self::{
    builder::BackpressureListenerBuilder, connection::Connection, counters::SlowDisconnect,
    error::InvalidBackpressureListener, handle::BackpressureHandle, incoming::Incoming,
    io::ClientIo, tcp::BackpressureListener, unsent::Unsent,
};
