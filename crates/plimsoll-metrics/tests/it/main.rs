//! Behaviour through the public API.
#![allow(clippy::float_cmp, reason = "counts and the inputs of tests are exact")]

mod ends;
mod exemplars;
// The `fuzz` package includes `fuzz_target`, too.
#[allow(unreachable_pub)]
mod fuzz_target;
mod gates;
mod health;
mod hgrm;
mod latency;
mod pulled;
mod reader;
mod recent;
mod recording;
#[cfg(feature = "serialization")]
mod serial;
mod service;
mod support;
