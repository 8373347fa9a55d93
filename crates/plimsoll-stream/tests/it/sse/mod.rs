//! Server-sent events.

mod acks;
mod client;
mod flow;
mod many;
mod resume;
mod sockets;
#[cfg(feature = "tracing")]
mod trace;
mod wire;
