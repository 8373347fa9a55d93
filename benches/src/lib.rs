//! What Plimsoll costs per call, beside its peers: instructions, nanoseconds, allocations.
//!
//! [`cases`] lists what is measured, each case a service with a request to send through it; [`wall`] times the
//! cases, [`callgrind`] counts their instructions and [`allocations`], [`bars`] says what Plimsoll promises and
//! whether it holds, and [`report`] writes it all down. [`contention`] lets two
//! threads race at one limit, and [`queued`] tells which of its rounds others disturbed. The method is in this crate's `README.md`.
#![forbid(unsafe_code)]
// These programs exist to print figures.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod allocations;
pub mod bars;
pub mod callgrind;
pub mod cases;
pub mod contention;
pub mod lane;
pub mod queued;
pub mod report;
pub mod wall;
