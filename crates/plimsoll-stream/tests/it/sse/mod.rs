//! Server-sent events.

mod acks;
mod client;
mod flow;
mod resume;
mod sockets;
mod wire;
