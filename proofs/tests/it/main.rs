//! Slow clients of each kind, behind each proxy.

mod grpc;
mod sse;
mod swallowed;
mod websocket;
