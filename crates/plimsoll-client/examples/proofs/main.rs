//! Prints what retries do to a callee that stalls, fails or rejects.
//!
//! ```sh
//! cargo run --release -p plimsoll-client --example proofs
//! cargo run --release -p plimsoll-client --example proofs -- sockets
//! ```
//!
//! The second command uses real sockets, the first one a paused clock. The tests run the same code: `tests/it/proofs.rs`.
#![allow(clippy::print_stdout)]

mod amplification;
mod herd;
mod sockets;
mod stall;

fn main() {
    // The last part alone takes 50 seconds, since its time is real.
    if std::env::args().any(|argument| argument == "sockets") {
        sockets::print();
        return;
    }
    stall::print();
    println!();
    amplification::print();
    println!();
    herd::print();
}
