//! Behaviour of the client through its public API.
#![allow(clippy::print_stdout)] // in the proofs, which an example prints

#[path = "../../examples/proofs/amplification.rs"]
mod amplification;
mod budget;
mod callee;
// The `fuzz` package includes it, too.
#[allow(unreachable_pub)]
mod fuzz_target;
mod grpc;
mod hedge;
#[path = "../../examples/proofs/herd.rs"]
mod herd;
mod hints;
mod proofs;
mod reconnect;
mod replay;
mod retry;
mod stack;
#[path = "../../examples/proofs/stall.rs"]
mod stall;
mod wire;

use std::{future::Future, time::Duration};

/// Awaits `work`, and fails after a minute when a lost wake-up makes it hang.
async fn within_a_minute<F: Future>(work: F) -> F::Output {
    let ends = tokio::time::timeout(Duration::from_secs(60), work).await;
    ends.expect("timed out: a wake-up was lost")
}

/// Milliseconds.
fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
