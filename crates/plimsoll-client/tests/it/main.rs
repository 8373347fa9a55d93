//! Behaviour of clients through the public API.
#![allow(clippy::float_cmp)] // these loads are exact in a float

mod advice;
mod contract;
mod downstream;
mod fused;
// The `fuzz` package includes `fuzz_target`, too.
#[allow(unreachable_pub)]
mod fuzz_target;
mod grpc;
mod instances;
mod panics;
mod propagation;
mod several_lines;
mod throttle;
mod throttle_gate;

use std::{
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
