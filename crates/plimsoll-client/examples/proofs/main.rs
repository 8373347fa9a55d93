//! Prints what retries do to a callee that stalls, fails or rejects.
//!
//! ```sh
//! cargo run --release -p plimsoll-client --example proofs
//! ```
//!
//! All but the last part run on a paused clock. The tests run the same code: `tests/it/proofs.rs`.
#![allow(clippy::print_stdout)]

mod amplification;
mod herd;
mod stall;

fn main() {
    stall::print();
    println!();
    amplification::print();
    println!();
    herd::print();
}
