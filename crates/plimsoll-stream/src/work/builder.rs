//! The builder of a work queue.

use std::sync::Arc;

use plimsoll_core::policy::Counter;
use tokio::runtime::Handle;

use super::{
    error::InvalidWorkQueue,
    queue::WorkQueue,
    running::Running,
    slot::{Cancelled, Loss, Slot},
    worker::{Worker, work},
};
use crate::{BoundedQueue, DropReason, QueuePolicy};

/// The highest number of workers: each is a task, and each blocking job a thread.
const MAX_WORKERS: usize = 1 << 16;

/// The settings of a [`WorkQueue`], checked together by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | [`workers`](Self::workers) | one per processor |
/// | [`max_bytes`](Self::max_bytes) | no bound in bytes |
/// | [`policy`](Self::policy) | [`QueuePolicy::BLOCK`]: reject new jobs, evict none |
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct WorkQueueBuilder {
    capacity: usize,
    workers: Option<usize>,
    max_bytes: Option<usize>,
    policy: QueuePolicy,
}

impl WorkQueueBuilder {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            workers: None,
            max_bytes: None,
            policy: QueuePolicy::BLOCK,
        }
    }

    /// Sets how many jobs run at a time: 1 to 65,536. One per processor by default.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Bounds the sum of the [weights](super::Job::weight) of the queued jobs, in bytes: at least 1.
    ///
    /// Running jobs are not included.
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = Some(max);
        self
    }

    /// Sets which job is lost when the queue is full. No policy makes a submission wait.
    /// [`QueuePolicy::Coalesce`] is not available: jobs have no key.
    pub fn policy(mut self, policy: QueuePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Builds the queue and spawns its workers in the current tokio runtime.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound, or that there is no runtime.
    pub fn build(self) -> Result<WorkQueue, InvalidWorkQueue> {
        let workers = match self.workers {
            Some(workers) if !(1..=MAX_WORKERS).contains(&workers) => {
                return Err(InvalidWorkQueue::Workers(workers));
            }
            Some(workers) => workers,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let cancelled = Arc::new(Cancelled::default());
        let evicted = Arc::new(Counter::new());
        let queue = self.queue(Arc::clone(&cancelled), Arc::clone(&evicted))?;
        let runtime = Handle::try_current().map_err(|_| InvalidWorkQueue::NoRuntime)?;
        let running = Arc::new(Running::new(queue, workers, cancelled, evicted));
        let tasks = (0..workers)
            .map(|_| runtime.spawn(work(Worker::new(&running))).abort_handle())
            .collect();
        Ok(WorkQueue::with(running, tasks))
    }

    fn queue(
        &self,
        cancelled: Arc<Cancelled>,
        evicted: Arc<Counter>,
    ) -> Result<BoundedQueue<Arc<Slot>>, InvalidWorkQueue> {
        let mut queue = BoundedQueue::builder(self.capacity)
            .policy(self.policy)
            .priority(|slot: &Arc<Slot>| slot.priority)
            // Only this hook sees a job that expired when a worker took another one.
            .on_drop(move |slot, reason| {
                if reason == DropReason::Expired && slot.lose(Loss::Evicted, &cancelled) {
                    evicted.add();
                }
            });
        if let Some(max) = self.max_bytes {
            queue = queue.max_bytes_by(max, |slot: &Arc<Slot>| slot.weight);
        }
        Ok(queue.build()?)
    }
}

impl WorkQueue {
    /// A builder for a queue of up to `capacity` waiting jobs: at least 1.
    pub fn builder(capacity: usize) -> WorkQueueBuilder {
        WorkQueueBuilder::new(capacity)
    }
}
