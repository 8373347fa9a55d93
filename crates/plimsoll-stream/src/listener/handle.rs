//! Counters and gauges of a listener.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    counters::{SlowDisconnect, Totals},
    kernel,
    unsent::Unsent,
};

/// Reads the counters and gauges of a [`BackpressureListener`](super::BackpressureListener); clones
/// share it.
#[derive(Debug, Clone)]
pub struct BackpressureHandle(Arc<Totals>);

impl BackpressureHandle {
    pub(super) fn new(totals: Arc<Totals>) -> Self {
        Self(totals)
    }

    /// Returns the connections that were accepted.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.get()
    }

    /// Returns the open connections: accepted, and their IO not dropped yet.
    pub fn open(&self) -> usize {
        self.0.open()
    }

    /// Returns the connections whose write is blocked now.
    pub fn blocked(&self) -> usize {
        self.0.blocked()
    }

    /// Returns the connections that were closed for this reason.
    pub fn slow_disconnects(&self, reason: SlowDisconnect) -> u64 {
        self.0.slow(reason).get()
    }

    /// Returns the bytes that the kernel accepted from the server, over all connections.
    pub fn written(&self) -> u64 {
        self.0.written.load(Relaxed)
    }

    /// Returns the bytes that the server has read, over all connections.
    pub fn read(&self) -> u64 {
        self.0.read.load(Relaxed)
    }

    /// Returns the connections on which an option could not be set, for example because the peer
    /// had already left. They are served with the options that could be set.
    pub fn option_errors(&self) -> u64 {
        self.0.option_errors.get()
    }

    /// Asks the kernel what it holds for all connections on the listener's port. `None` on systems
    /// other than Linux, and before the first connection.
    ///
    /// For a scrape of metrics: the kernel looks through all its TCP sockets, which takes some
    /// milliseconds on a machine with many. Other processes that share the port (`SO_REUSEPORT`) are
    /// included.
    pub fn unsent(&self) -> Option<Unsent> {
        kernel::unsent_on_port(self.0.port()?)
    }
}
