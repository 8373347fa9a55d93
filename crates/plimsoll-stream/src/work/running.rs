//! What the workers and the handles of a queue share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use plimsoll_core::{Kind, Rejection, policy::Counter};
use tokio::sync::Notify;

use super::{
    ewma::Ewma,
    slot::{Cancelled, Slot},
};
use crate::BoundedQueue;

/// The hint before the first job has ended.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The state that outlives the handles of a queue, until its last worker ends.
pub(crate) struct Running {
    pub(super) queue: BoundedQueue<Arc<Slot>>,
    pub(crate) workers: usize,
    pub(super) cancelled: Arc<Cancelled>,
    pub(super) duration: Ewma,
    pub(crate) busy: AtomicUsize,
    pub(super) aborted: AtomicBool,
    /// Workers that have not ended.
    alive: AtomicUsize,
    ended: Notify,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: Counter,
    pub(crate) completed: Counter,
    pub(crate) panicked: Counter,
    pub(crate) rejected: Counter,
    pub(crate) evicted: Arc<Counter>,
    pub(crate) hung_up: Counter,
    /// Rejections with an estimate.
    pub(crate) hinted: Counter,
}

impl Running {
    pub(super) fn new(
        queue: BoundedQueue<Arc<Slot>>,
        workers: usize,
        cancelled: Arc<Cancelled>,
        evicted: Arc<Counter>,
    ) -> Self {
        Self {
            queue,
            workers,
            cancelled,
            duration: Ewma::default(),
            busy: AtomicUsize::new(0),
            aborted: AtomicBool::new(false),
            alive: AtomicUsize::new(workers),
            ended: Notify::new(),
            counters: Counters {
                evicted,
                ..Counters::default()
            },
        }
    }

    /// Queued jobs whose handler has not left.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len().saturating_sub(self.cancelled.items())
    }

    /// The bound on queued jobs.
    pub(crate) fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// The weight of queued jobs in bytes.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queue.bytes().saturating_sub(self.cancelled.bytes())
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn max_bytes(&self) -> Option<usize> {
        self.queue.max_bytes()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn policy(&self) -> crate::QueuePolicy {
        self.queue.policy()
    }

    /// Whether another job of this weight fits.
    pub(super) fn fits(&self, weight: usize) -> bool {
        let max = self.queue.max_bytes().unwrap_or(usize::MAX);
        self.waiting() < self.queue.capacity() && weight <= max.saturating_sub(self.waiting_bytes())
    }

    /// The rejection, with an estimate of when a place becomes free: the time in which the workers
    /// complete the queued jobs. Counted.
    pub(super) fn rejection(&self) -> Rejection {
        let jobs = self.waiting().div_ceil(self.workers).max(1);
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        let wait = self
            .duration
            .get()
            .map_or(FIRST_RETRY, |mean| mean.saturating_mul(jobs));
        self.counters.hinted.add();
        Rejection::new("work-queue", Kind::Full).with_retry_after(wait)
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(SeqCst)
    }

    pub(super) fn worker_ended(&self) {
        self.alive.fetch_sub(1, SeqCst);
        self.ended.notify_waiters();
    }

    pub(super) async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.alive.load(SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }
}
