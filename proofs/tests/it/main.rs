//! Slow clients of each kind, behind each proxy.

mod sse;
mod swallowed;
mod websocket;
