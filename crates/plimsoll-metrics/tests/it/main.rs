//! Behaviour through the public API.
#![allow(clippy::float_cmp, reason = "counts and the inputs of tests are exact")]
#![allow(
    clippy::print_stdout,
    reason = "the figures of the docs, with `--nocapture`"
)]

mod alarms;
mod ends;
mod events;
mod exemplars;
#[cfg(all(
    feature = "facade",
    feature = "opentelemetry",
    feature = "prometheus-client"
))]
mod exporters;
mod families;
// The `fuzz` package includes `fuzz_target`, too.
#[allow(unreachable_pub)]
mod fuzz_target;
mod gates;
mod handle;
mod health;
mod hgrm;
mod latency;
mod names;
mod offenders;
mod promtool;
mod pulled;
mod reader;
mod ready;
mod recent;
mod recording;
#[cfg(feature = "serialization")]
mod serial;
mod service;
mod support;
