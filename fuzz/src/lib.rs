//! The fuzz targets, which are modules of the crates' tests: what CI runs is what is fuzzed.

#[path = "../../crates/plimsoll-client/tests/it/fuzz_target.rs"]
mod client;
#[path = "../../crates/plimsoll-core/tests/fuzz_targets/targets/mod.rs"]
mod core;
#[path = "../../crates/plimsoll-client/tests/it/fuzz_downstream.rs"]
mod downstream;
#[path = "../../crates/plimsoll-metrics/tests/it/fuzz_target.rs"]
mod metrics;

pub use self::{client::retry_hint, core::*, downstream::downstream, metrics::metrics_accept};
