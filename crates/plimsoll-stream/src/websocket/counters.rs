//! Counts over all connections.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::policy::Counter;

use super::reason::CloseReason;
use crate::DropReason;

#[derive(Debug)]
pub(super) struct Totals {
    pub(super) accepted: Counter,
    pub(super) rejected: Counter,
    pub(super) messages_in: Counter,
    pub(super) messages_out: Counter,
    pub(super) pauses_sent: Counter,
    pub(super) pauses_received: Counter,
    pub(super) gaps: Counter,
    /// Messages that were queued or in the hands of the writer when the connection ended.
    pub(super) undelivered: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    /// Clients that have asked for a pause and not for its end.
    pub(super) paused: AtomicUsize,
    paused_nanos: AtomicU64,
    dropped: [Counter; DropReason::COUNT],
    closed: Box<[Counter]>,
}

impl Totals {
    pub(super) fn new() -> Self {
        Self {
            accepted: Counter::new(),
            rejected: Counter::new(),
            messages_in: Counter::new(),
            messages_out: Counter::new(),
            pauses_sent: Counter::new(),
            pauses_received: Counter::new(),
            gaps: Counter::new(),
            undelivered: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            paused: AtomicUsize::new(0),
            paused_nanos: AtomicU64::new(0),
            dropped: Default::default(),
            closed: CloseReason::ALL.iter().map(|_| Counter::new()).collect(),
        }
    }

    pub(super) fn drop_message(&self, reason: DropReason) {
        if let Some(count) = self.dropped.get(reason.index()) {
            count.add();
        }
    }

    pub(super) fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.index()).map_or(0, Counter::get)
    }

    pub(super) fn close(&self, reason: CloseReason) {
        if let Some(count) = self.closed.get(reason.index()) {
            count.add();
        }
    }

    pub(super) fn closed(&self, reason: CloseReason) -> u64 {
        self.closed.get(reason.index()).map_or(0, Counter::get)
    }

    pub(super) fn add_paused(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.paused_nanos.fetch_add(nanos, Relaxed);
    }

    pub(super) fn paused_time(&self) -> Duration {
        Duration::from_nanos(self.paused_nanos.load(Relaxed))
    }
}
