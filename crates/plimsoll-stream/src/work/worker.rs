//! The task of a worker.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context, Poll},
};

use tokio::task::spawn_blocking;

use super::{job::Work, running::Running};
use crate::clock;

/// A worker. Dropping it reports its end, also when its task was never polled.
pub(super) struct Worker(Arc<Running>);

impl Worker {
    pub(super) fn new(running: &Arc<Running>) -> Self {
        Self(Arc::clone(running))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.worker_ended();
    }
}

/// Runs jobs until the queue is closed and empty.
pub(super) async fn work(worker: Worker) {
    let running = &*worker.0;
    while let Some(slot) = running.queue.recv().await {
        let Some(work) = slot.start(&running.cancelled) else {
            continue;
        };
        // The handler may still hold the slot, and needs no memory of it.
        drop(slot);
        let _busy = Busy::new(running);
        let started = clock::now();
        let completed = match work {
            // A panic is reported to the handler by the sender that the job drops.
            Work::Blocking(work) => spawn_blocking(work).await.is_ok(),
            Work::Future(work) => Caught(work).await,
        };
        running.duration.add(started.elapsed());
        let counters = &running.counters;
        if completed {
            counters.completed.add();
        } else {
            counters.panicked.add();
        }
    }
}

/// Counts a job that runs, also when the worker is aborted.
struct Busy<'a>(&'a Running);

impl<'a> Busy<'a> {
    fn new(running: &'a Running) -> Self {
        running.busy.fetch_add(1, SeqCst);
        Self(running)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, SeqCst);
    }
}

/// Runs a job, and ends it at a panic. Ready with whether it came to its end.
struct Caught(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Caught {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        // Nothing of the job is used after a panic: it is dropped.
        let polled = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)));
        match polled {
            Ok(polled) => polled.map(|()| true),
            Err(_) => Poll::Ready(false),
        }
    }
}
