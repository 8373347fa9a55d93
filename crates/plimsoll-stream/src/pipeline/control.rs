//! What ends a pipeline from outside.

use std::{
    sync::PoisonError,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
    task::Waker,
};

use crate::sync::{AtomicBool, AtomicU64, Mutex};

/// Requests to stop, and the task that they wake.
pub(crate) struct Control {
    draining: AtomicBool,
    aborted: AtomicBool,
    /// Whether the source was stopped by a drain, before its end.
    cut: AtomicBool,
    discarded: AtomicU64,
    task: Mutex<Option<Waker>>,
}

impl Control {
    pub(crate) fn new() -> Self {
        Self {
            draining: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            discarded: AtomicU64::new(0),
            task: Mutex::new(None),
        }
    }

    pub(crate) fn drain(&self) {
        if !self.draining.swap(true, AcqRel) {
            self.wake();
        }
    }

    pub(crate) fn abort(&self) {
        if !self.aborted.swap(true, AcqRel) {
            self.wake();
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Acquire)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Acquire)
    }

    /// The source was stopped before its end.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Release);
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.cut.load(Acquire)
    }

    pub(crate) fn discard(&self, items: u64) {
        self.discarded.fetch_add(items, Relaxed);
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Relaxed)
    }

    /// Stores the waker of the task that runs the pipeline, before it looks at the requests.
    pub(crate) fn register(&self, waker: &Waker) {
        let known = self
            .lock()
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        if !known {
            // Without the lock, because cloning and dropping run the caller's code.
            let clone = waker.clone();
            let old = self.lock().replace(clone);
            drop(old);
        }
    }

    fn wake(&self) {
        let task = self.lock().take();
        if let Some(task) = task {
            task.wake();
        }
    }

    fn lock(&self) -> crate::sync::MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
