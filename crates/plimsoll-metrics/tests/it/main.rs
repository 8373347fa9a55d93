//! Behaviour through the public API.
#![allow(clippy::float_cmp, reason = "counts and the inputs of tests are exact")]

mod alarms;
mod ends;
mod events;
// The `fuzz` package includes `fuzz_target`, too.
#[allow(unreachable_pub)]
mod fuzz_target;
mod gates;
mod handle;
mod health;
mod latency;
mod names;
mod pulled;
mod reader;
mod ready;
mod recent;
mod service;
mod support;
