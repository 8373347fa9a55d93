//! A bounded queue.

use plimsoll_core::{
    LoadSignal,
    figures::{self, Figure, Figures},
};

use crate::BoundedQueue;

/// Depth, capacity, load, throughput and losses. What is queued stays in memory while the queue is
/// watched.
impl<T: Send + 'static> Figures for BoundedQueue<T> {
    fn policy(&self) -> &'static str {
        "queue"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::QUEUED, self.len() as f64);
        each(&figures::QUEUE_CAPACITY, self.capacity() as f64);
        each(&figures::LOAD, self.load());
        let counters = self.counters();
        each(&figures::SENT, counters.sent() as f64);
        each(&figures::RECEIVED, counters.received() as f64);
        let dropped = counters.dropped() + counters.expired();
        each(&figures::DROPPED, dropped as f64);
        let rejected = counters.full() + counters.timed_out() + counters.too_large();
        each(&figures::REJECTED, rejected as f64);
    }
}
