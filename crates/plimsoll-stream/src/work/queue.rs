//! The queue as handlers see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::SeqCst};

use tokio::task::AbortHandle;

use super::{
    error::WorkError,
    job::Job,
    running::Running,
    slot::{Loss, Slot},
};
use crate::SendError;

/// A bounded queue of jobs, and the workers that run them. Clones share it.
///
/// See the [module](super) for examples, and for when a handler that leaves frees its place.
#[derive(Clone)]
pub struct WorkQueue {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) running: Arc<Running>,
    tasks: Vec<AbortHandle>,
    /// Held while jobs are queued, and while the queue is closed: removing the places of handlers
    /// that left takes all jobs out for a moment.
    queueing: Mutex<()>,
}

impl WorkQueue {
    pub(super) fn with(running: Arc<Running>, tasks: Vec<AbortHandle>) -> Self {
        let queueing = Mutex::new(());
        Self {
            inner: Arc::new(Inner {
                running,
                tasks,
                queueing,
            }),
        }
    }

    /// Queues a job and waits for its result.
    ///
    /// # Errors
    ///
    /// [`WorkError`], at once when the queue is full.
    ///
    /// # Cancellation
    ///
    /// Nothing is queued before the first poll. Dropping the future while the job is queued removes
    /// the job and frees its place. A running job continues, and its result is dropped.
    pub async fn run<R: Send + 'static>(&self, job: impl Into<Job<R>>) -> Result<R, WorkError> {
        let job = job.into();
        let (weight, priority) = (job.weight, job.priority);
        let (work, result) = job.erase();
        let slot = Arc::new(Slot::new(work, weight, priority));
        self.queue(&slot)?;
        let waiting = Waiting {
            running: &self.inner.running,
            slot: &slot,
        };
        let result = result.await;
        drop(waiting);
        result.map_err(|_| self.why(&slot))
    }

    /// Queues a job that no handler waits for. Its result is dropped.
    ///
    /// For answers such as 202: the job runs unless the queue's policy evicts it or the queue is
    /// aborted.
    ///
    /// # Errors
    ///
    /// [`WorkError`], when the job is not queued.
    pub fn submit<R: Send + 'static>(&self, job: impl Into<Job<R>>) -> Result<(), WorkError> {
        let job = job.into();
        let (weight, priority) = (job.weight, job.priority);
        let (work, _) = job.erase();
        self.queue(&Arc::new(Slot::new(work, weight, priority)))
    }

    fn queue(&self, slot: &Arc<Slot>) -> Result<(), WorkError> {
        let running = &self.inner.running;
        let queueing = self.inner.lock();
        if running.cancelled.items() > 0 && !fits_beside(running, slot.weight) {
            remove_cancelled(running);
        }
        let sent = running.queue.try_send(Arc::clone(slot));
        drop(queueing);
        let error = match sent {
            Ok(sent) => {
                let is_queued = sent.is_queued();
                for (lost, _) in sent.lost {
                    if !Arc::ptr_eq(&lost, slot) && lost.lose(Loss::Evicted, &running.cancelled) {
                        running.counters.evicted.add();
                    }
                }
                if is_queued {
                    running.counters.accepted.add();
                    return Ok(());
                }
                WorkError::Full(running.rejection())
            }
            Err(SendError::TooLarge { weight, max, .. }) => WorkError::TooLarge { weight, max },
            Err(SendError::Closed(_)) => WorkError::Closed(running.rejection()),
            Err(SendError::Full(_) | SendError::Timeout { .. }) => {
                WorkError::Full(running.rejection())
            }
        };
        running.counters.rejected.add();
        Err(error)
    }

    /// Why a job that was queued has no result.
    fn why(&self, slot: &Slot) -> WorkError {
        let running = &self.inner.running;
        match slot.loss() {
            Some(Loss::Evicted) => WorkError::Evicted(running.rejection()),
            Some(Loss::Aborted) => WorkError::Closed(running.rejection()),
            None if running.is_aborted() => WorkError::Aborted,
            None => WorkError::Panicked,
        }
    }

    /// Closes the queue, and waits until the workers have finished all accepted jobs.
    ///
    /// New jobs are rejected with [`WorkError::Closed`]. May be called several times, from several
    /// tasks.
    ///
    /// # Cancellation
    ///
    /// Dropping the future after its first poll leaves the queue closed, and the workers continue.
    pub async fn shutdown(&self) {
        self.inner.close();
        self.inner.running.all_ended().await;
    }

    /// Closes the queue, and drops all queued jobs and running futures.
    ///
    /// Blocking jobs that run already cannot be stopped and run to their end. Handlers of queued
    /// jobs get [`WorkError::Closed`], and those of running futures [`WorkError::Aborted`].
    pub fn abort(&self) {
        let running = &self.inner.running;
        running.aborted.store(true, SeqCst);
        self.inner.close();
        for slot in running.queue.drain() {
            slot.lose(Loss::Aborted, &running.cancelled);
        }
        self.inner.tasks.iter().for_each(AbortHandle::abort);
    }

    /// Returns whether the queue is shut down or aborted.
    pub fn is_closed(&self) -> bool {
        self.inner.running.queue.is_closed()
    }

    /// Returns whether another job of this weight would be queued now without evicting others.
    pub fn has_room(&self, weight: usize) -> bool {
        !self.is_closed() && self.inner.running.fits(weight)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.queueing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let queueing = self.lock();
        self.running.queue.close();
        drop(queueing);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether a job fits beside the queued ones, including those of handlers that left.
fn fits_beside(running: &Running, weight: usize) -> bool {
    let queue = &running.queue;
    let max = queue.max_bytes().unwrap_or(usize::MAX);
    queue.len() < queue.capacity() && weight <= max.saturating_sub(queue.bytes())
}

/// Removes the slots of handlers that left. The caller holds the lock, so that no job takes the
/// place of one that is put back.
fn remove_cancelled(running: &Running) {
    for slot in running.queue.drain() {
        if slot.is_cancelled() {
            slot.lose(Loss::Evicted, &running.cancelled);
        } else if let Err(error) = running.queue.try_send(slot) {
            // Only `abort` closes the queue without the lock, and it drops all jobs.
            error.into_inner().lose(Loss::Aborted, &running.cancelled);
        }
    }
}

/// A handler that waits for its job. Dropping it frees the place of a queued job.
struct Waiting<'a> {
    running: &'a Running,
    slot: &'a Slot,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.slot.cancel(&self.running.cancelled) {
            self.running.counters.hung_up.add();
        }
    }
}
