//! The cost of Plimsoll per call, beside its peers: instructions, nanoseconds, allocations.
//!
//! [`cases`] lists what is measured, each case a service with a request to send through it;
//! [`wall`] times the cases, [`callgrind`] counts their instructions and [`allocations`], [`bars`]
//! compares them with the bars, and [`report`] writes the results. [`contention`] lets two threads
//! race at one limit, and [`queued`] detects the rounds that other threads disturbed. The method is
//! in this crate's `README.md`.
#![forbid(unsafe_code)]
// The output of these programs is their result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod allocations;
pub mod bars;
pub mod callgrind;
pub mod cases;
pub mod contention;
pub mod driver;
pub mod held;
pub mod queued;
pub mod report;
pub mod wall;
