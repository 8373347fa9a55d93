//! Real proxies, and clients that are slow, for tests of streams.
//!
//! `cargo xtask test` installs nginx and `HAProxy`. The configurations here are those of
//! `docs/streams.md`: they bound what a proxy buffers for a client that reads nothing.
#![forbid(unsafe_code)]

pub mod client;
pub mod events;
pub mod proxy;
