//! Behaviour through the public API.
#![allow(
    clippy::float_cmp,
    reason = "counts and what a test put in come out bit for bit"
)]

mod ends;
// The `fuzz` package includes the same module, and calls what is in it.
#[allow(unreachable_pub)]
mod fuzz_target;
mod gates;
mod health;
mod latency;
mod pulled;
mod reader;
mod recent;
mod service;
mod support;
