//! Limits at the edge of a server: connections, and requests for streams.

#[cfg(feature = "axum")]
mod listener;
mod streams;

#[cfg(feature = "axum")]
pub use self::listener::{BoundedListener, Guarded, InvalidListener, ListenerHandle};
pub use self::streams::{EventStreams, asks_for_stream};
