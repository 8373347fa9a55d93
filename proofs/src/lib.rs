//! Real proxies, and clients that are slow, for tests of streams.
//!
//! `cargo xtask test` installs nginx and `HAProxy`. The configurations here are those of
//! `docs/streams.md`: they bound what a proxy buffers for a client that reads nothing.
#![forbid(unsafe_code)]
// The figures are read with `--nocapture`.
#![allow(clippy::print_stdout)]

pub mod chromium;
pub mod client;
pub mod events;
pub mod face;
pub mod host;
pub mod proxy;
