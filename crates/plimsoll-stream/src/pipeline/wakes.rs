//! Which futures of a stage were woken.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::AcqRel},
    task::{Wake, Waker},
};

use crate::sync::{AtomicBool, Mutex, MutexGuard};

/// The slots whose futures were woken, and the task that polls them.
pub(crate) struct Wakes(Mutex<Woken>);

struct Woken {
    /// Each slot at most once.
    slots: Vec<usize>,
    /// Taken by the first wake after a poll: the task then looks at all slots.
    task: Option<Waker>,
}

/// The waker of the futures of one slot.
pub(crate) struct SlotWake {
    index: usize,
    /// Whether the slot is among those that were woken.
    queued: AtomicBool,
    wakes: Arc<Wakes>,
}

impl Wakes {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Woken {
            slots: Vec::new(),
            task: None,
        }))
    }

    /// Stores the waker of the task, before it takes the slots that were woken.
    pub(crate) fn register(&self, waker: &Waker) {
        let known = self
            .lock()
            .task
            .as_ref()
            .is_some_and(|of| of.will_wake(waker));
        if !known {
            // Without the lock, because cloning and dropping run the caller's code.
            let clone = waker.clone();
            let old = self.lock().task.replace(clone);
            drop(old);
        }
    }

    /// Takes the slots that were woken, in that order, in exchange for an empty list.
    pub(crate) fn take(&self, into: &mut Vec<usize>) {
        std::mem::swap(&mut self.lock().slots, into);
    }

    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotWake {
    pub(crate) fn new(index: usize, wakes: &Arc<Wakes>) -> Self {
        Self {
            index,
            queued: AtomicBool::new(false),
            wakes: Arc::clone(wakes),
        }
    }

    /// From now on, a wake counts again. Called before the future is polled.
    pub(crate) fn clear(&self) {
        self.queued.swap(false, AcqRel);
    }

    /// Adds the slot to those that were woken. The task is the one that runs, so it is not woken.
    pub(crate) fn mark(&self) {
        if !self.queued.swap(true, AcqRel) {
            self.wakes.lock().slots.push(self.index);
        }
    }
}

impl Wake for SlotWake {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, AcqRel) {
            return;
        }
        let mut woken = self.wakes.lock();
        woken.slots.push(self.index);
        let task = woken.task.take();
        drop(woken);
        if let Some(task) = task {
            task.wake();
        }
    }
}
