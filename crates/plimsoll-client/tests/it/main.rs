//! Behaviour of the client through its public API.
#![allow(clippy::float_cmp)] // these loads are exact in a float
#![allow(clippy::print_stdout)] // in the proofs, which an example prints

mod advice;
#[path = "../../examples/proofs/amplification.rs"]
mod amplification;
mod budget;
mod callee;
mod contract;
mod downstream;
mod downstream_grpc;
mod fused;
// The `fuzz` package includes both.
#[allow(unreachable_pub)]
mod fuzz_downstream;
#[allow(unreachable_pub)]
mod fuzz_target;
mod grpc;
mod hedge;
#[path = "../../examples/proofs/herd.rs"]
mod herd;
mod hints;
mod instances;
mod panics;
mod proofs;
mod propagation;
mod reconnect;
mod replay;
mod resume;
mod retry;
mod several_lines;
mod stack;
#[path = "../../examples/proofs/stall.rs"]
mod stall;
mod throttle;
mod throttle_gate;
mod wire;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_core::LoadSignal;

/// Awaits `work`, and fails after a minute when a lost wake-up makes it hang.
async fn within_a_minute<F: Future>(work: F) -> F::Output {
    let ends = tokio::time::timeout(Duration::from_secs(60), work).await;
    ends.expect("timed out: a wake-up was lost")
}

/// Milliseconds.
fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A load that tests set.
#[derive(Debug, Clone, Default)]
struct Dial(Arc<AtomicU64>);

impl Dial {
    fn at(load: f64) -> Self {
        let dial = Self::default();
        dial.set(load);
        dial
    }

    fn set(&self, load: f64) {
        self.0.store(load.to_bits(), Relaxed);
    }
}

impl LoadSignal for Dial {
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}
