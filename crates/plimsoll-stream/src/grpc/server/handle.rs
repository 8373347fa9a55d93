//! Counters and gauges of a server.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use plimsoll_core::policy::Counter;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) ended: Counter,
    blocked: AtomicUsize,
}

impl Counters {
    pub(super) fn block(&self, blocked: bool) {
        if blocked {
            self.blocked.fetch_add(1, Relaxed);
        } else {
            self.blocked.fetch_sub(1, Relaxed);
        }
    }
}

/// Reads the counters and gauges of a [`StreamServer`](super::StreamServer); clones share it.
#[derive(Debug, Clone)]
pub struct StreamServerHandle(Arc<Counters>);

impl StreamServerHandle {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self(counters)
    }

    /// Returns the streams that wait for their client's window now.
    pub fn blocked(&self) -> usize {
        self.0.blocked.load(Relaxed)
    }

    /// Returns the streams that were reset because of the write deadline.
    pub fn slow_disconnects(&self) -> u64 {
        self.0.ended.get()
    }
}
