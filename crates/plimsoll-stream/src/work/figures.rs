//! What can be read of a queue.

use std::{fmt, sync::atomic::Ordering::SeqCst};

use plimsoll_core::LoadSignal;

use super::queue::WorkQueue;

impl WorkQueue {
    /// Returns the number of queued jobs, without those of handlers that left.
    pub fn waiting(&self) -> usize {
        self.inner.running.waiting()
    }

    /// Returns the weight of the queued jobs in bytes: 0 without a bound in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.inner.running.waiting_bytes()
    }

    /// Returns the number of jobs that run now.
    pub fn running(&self) -> usize {
        self.inner.running.busy.load(SeqCst)
    }

    /// Returns the number of workers.
    pub fn workers(&self) -> usize {
        self.inner.running.workers
    }

    /// Returns the bound on queued jobs.
    pub fn capacity(&self) -> usize {
        self.inner.running.queue.capacity()
    }

    /// Returns the jobs that were queued.
    pub fn accepted(&self) -> u64 {
        self.inner.running.counters.accepted.get()
    }

    /// Returns the jobs that came to their end.
    pub fn completed(&self) -> u64 {
        self.inner.running.counters.completed.get()
    }

    /// Returns the jobs that panicked.
    pub fn panicked(&self) -> u64 {
        self.inner.running.counters.panicked.get()
    }

    /// Returns the jobs that were not queued.
    pub fn rejected(&self) -> u64 {
        self.inner.running.counters.rejected.get()
    }

    /// Returns the queued jobs that the policy evicted.
    pub fn evicted(&self) -> u64 {
        self.inner.running.counters.evicted.get()
    }

    /// Returns the jobs that were removed because their handler left.
    pub fn hung_up(&self) -> u64 {
        self.inner.running.counters.hung_up.get()
    }
}

/// The fill level: the share of the tighter bound that queued jobs use, 0 to 1.
impl LoadSignal for WorkQueue {
    fn load(&self) -> f64 {
        let running = &self.inner.running;
        let items = running.waiting() as f64 / running.queue.capacity() as f64;
        let bytes = running
            .queue
            .max_bytes()
            .map_or(0.0, |max| running.waiting_bytes() as f64 / max as f64);
        items.max(bytes)
    }
}

impl fmt::Debug for WorkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue")
            .field("waiting", &self.waiting())
            .field("capacity", &self.capacity())
            .field("running", &self.running())
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}
