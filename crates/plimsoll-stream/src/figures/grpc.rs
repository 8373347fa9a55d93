//! The streams of a gRPC server.

use plimsoll_core::figures::{Figure, Figures};

use crate::grpc::StreamServerHandle;

/// Streams that wait for their client's window, and those that were reset.
impl Figures for StreamServerHandle {
    fn policy(&self) -> &'static str {
        "grpc"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&BLOCKED, self.blocked() as f64);
        each(&SLOW, self.slow_disconnects() as f64);
    }
}

static BLOCKED: Figure = Figure::gauge(
    "blocked_streams",
    "Streams that wait for their client's window",
);
static SLOW: Figure = Figure::counter(
    "slow_streams",
    "Streams that were reset because their client did not read",
);
