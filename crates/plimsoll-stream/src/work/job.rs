//! A job, before it is queued.

use std::{fmt, future::Future, pin::Pin};

use plimsoll_core::Priority;
use tokio::sync::oneshot;

/// Work for a [`WorkQueue`](super::WorkQueue), with its weight and priority.
///
/// A closure is a blocking job: `work.run(|| 6 * 7)`.
#[must_use = "a job does nothing until it is run or submitted"]
pub struct Job<R> {
    pub(super) work: JobWork<R>,
    pub(super) weight: usize,
    pub(super) priority: Priority,
}

pub(super) enum JobWork<R> {
    Blocking(Box<dyn FnOnce() -> R + Send>),
    Future(Pin<Box<dyn Future<Output = R> + Send>>),
}

/// Work of any result, as the queue holds it.
pub(super) enum Work {
    Blocking(Box<dyn FnOnce() + Send>),
    Future(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl<R: Send + 'static> Job<R> {
    /// Work that uses a processor, or calls functions that block. Runs on a blocking thread.
    pub fn blocking(work: impl FnOnce() -> R + Send + 'static) -> Self {
        Self::new(JobWork::Blocking(Box::new(work)))
    }

    /// Async work. Runs in the task of a worker.
    pub fn future(work: impl Future<Output = R> + Send + 'static) -> Self {
        Self::new(JobWork::Future(Box::pin(work)))
    }

    fn new(work: JobWork<R>) -> Self {
        Self {
            work,
            weight: 0,
            priority: Priority::default(),
        }
    }

    /// Sets the memory that the job holds while it is queued, in bytes, such as the length of an
    /// upload. 0 by default. Counts against
    /// [`max_bytes`](super::WorkQueueBuilder::max_bytes).
    pub fn weight(mut self, bytes: usize) -> Self {
        self.weight = bytes;
        self
    }

    /// Sets the priority, for
    /// [`QueuePolicy::DropLowestPriority`](crate::QueuePolicy::DropLowestPriority).
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The work, and where its result arrives. The receiver fails when the work panics or is
    /// dropped.
    pub(super) fn erase(self) -> (Work, oneshot::Receiver<R>) {
        let (sender, receiver) = oneshot::channel();
        // A receiver that was dropped does not want the result.
        let work = match self.work {
            JobWork::Blocking(work) => Work::Blocking(Box::new(move || _ = sender.send(work()))),
            JobWork::Future(work) => Work::Future(Box::pin(async move {
                _ = sender.send(work.await);
            })),
        };
        (work, receiver)
    }
}

impl<R, F> From<F> for Job<R>
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    fn from(work: F) -> Self {
        Self::blocking(work)
    }
}

impl<R> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("weight", &self.weight)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
