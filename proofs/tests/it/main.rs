//! Slow clients of each kind, behind each proxy; and clients that others wrote.

mod busy;
mod grpc;
mod sse;
mod strangers;
mod swallowed;
mod websocket;
