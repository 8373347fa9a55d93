//! The figures of a stage.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

/// The figures of one stage since the pipeline was built.
///
/// The ends of the pipeline are stages, too: `source` sends, and `sink` receives and sends what it
/// has done. For a stage with one output per item, `received = sent + in_flight + failed` at each
/// moment between two polls of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageMetrics {
    /// The name of the stage.
    pub name: &'static str,
    /// The most items that it works on at a time.
    pub concurrency: usize,
    /// Whether its outputs are in the order of its items.
    pub ordered: bool,
    /// Items that it has taken from its buffer.
    pub received: u64,
    /// Items that it has passed to the next buffer.
    pub sent: u64,
    /// Items that have ended the pipeline with an error or a panic: 0 or 1.
    pub failed: u64,
    /// Items that it works on, and those that are done and wait for room in the next buffer.
    pub in_flight: u64,
    /// The time that its items took, from the call of its function to the end of the future.
    ///
    /// The sum over all items. Waiting for room in the next buffer does not count, so
    /// `busy / (concurrency * elapsed)` is the share of time in which the stage was busy.
    pub busy: Duration,
    /// Items in the buffer in front of the stage.
    pub queued: u64,
    /// The most items in that buffer: 0 for the source.
    pub capacity: usize,
}

/// The counters of one stage: written by the task of the pipeline, read by any.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    concurrency: usize,
    ordered: bool,
    capacity: usize,
    received: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    busy: AtomicU64,
    queued: AtomicU64,
}

impl Row {
    pub(crate) const fn new(
        name: &'static str,
        concurrency: usize,
        ordered: bool,
        capacity: usize,
    ) -> Self {
        Self {
            name,
            concurrency,
            ordered,
            capacity,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            queued: AtomicU64::new(0),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// An item has entered the buffer in front of the stage.
    pub(crate) fn enqueue(&self) {
        self.queued.fetch_add(1, Relaxed);
    }

    /// The stage has taken an item from its buffer.
    pub(crate) fn receive(&self) {
        subtract(&self.queued, 1);
        self.received.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// The function of the stage has ended after this time.
    pub(crate) fn work(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.busy.fetch_add(nanos, Relaxed);
    }

    /// An output has entered the next buffer.
    pub(crate) fn send(&self) {
        self.sent.fetch_add(1, Release);
    }

    /// An item has no outputs left to send.
    pub(crate) fn release(&self) {
        subtract(&self.in_flight, 1);
    }

    /// The item that is in flight has failed.
    pub(crate) fn fail(&self) {
        self.failed.fetch_add(1, Relaxed);
        self.release();
    }

    /// Everything in the buffer and in flight is thrown away. Returns how much that is.
    pub(crate) fn discard(&self) -> u64 {
        self.queued.swap(0, Relaxed) + self.in_flight.swap(0, Relaxed)
    }

    pub(crate) fn snapshot(&self) -> StageMetrics {
        StageMetrics {
            name: self.name,
            concurrency: self.concurrency,
            ordered: self.ordered,
            sent: self.sent.load(Acquire),
            received: self.received.load(Relaxed),
            failed: self.failed.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            busy: Duration::from_nanos(self.busy.load(Relaxed)),
            queued: self.queued.load(Relaxed),
            capacity: self.capacity,
        }
    }
}

/// Subtracts from a gauge that never falls below 0.
fn subtract(gauge: &AtomicU64, n: u64) {
    // The update always succeeds. Only the task of the pipeline writes.
    _ = gauge.fetch_update(Relaxed, Relaxed, |value| Some(value.saturating_sub(n)));
}
