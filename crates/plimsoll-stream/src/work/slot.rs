//! A queued job, shared by the queue and the handler that waits for it.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use plimsoll_core::Priority;

use super::job::Work;

pub(super) struct Slot {
    stage: Mutex<Stage>,
    pub(super) weight: usize,
    pub(super) priority: Priority,
}

enum Stage {
    Queued(Work),
    /// A worker took the work.
    Started,
    /// The handler left. The slot is still in the queue.
    Cancelled,
    /// The policy or a shutdown removed it from the queue.
    Lost(Loss),
}

/// Why a job left the queue without being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Evicted,
    Aborted,
}

/// Slots in the queue whose handler left: they use no memory and count as free places.
#[derive(Debug, Default)]
pub(super) struct Cancelled {
    items: AtomicUsize,
    bytes: AtomicUsize,
}

impl Cancelled {
    pub(super) fn items(&self) -> usize {
        self.items.load(SeqCst)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(SeqCst)
    }
}

impl Slot {
    pub(super) fn new(work: Work, weight: usize, priority: Priority) -> Self {
        Self {
            stage: Mutex::new(Stage::Queued(work)),
            weight,
            priority,
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // No code of the user runs under this lock, so it is never poisoned.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handler leaves: drops the work of a queued job. Returns whether it was queued.
    pub(super) fn cancel(&self, cancelled: &Cancelled) -> bool {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Queued(_)) {
            return false;
        }
        let work = mem::replace(&mut *stage, Stage::Cancelled);
        cancelled.items.fetch_add(1, SeqCst);
        cancelled.bytes.fetch_add(self.weight, SeqCst);
        drop(stage);
        drop(work);
        true
    }

    /// Takes the work of a slot that has left the queue. `None` if the handler left before.
    pub(super) fn start(&self, cancelled: &Cancelled) -> Option<Work> {
        self.leave_queue(Stage::Started, cancelled)
    }

    /// Drops the work of a slot that has left the queue, and with it wakes the handler. Returns
    /// whether there was work to be lost.
    pub(super) fn lose(&self, loss: Loss, cancelled: &Cancelled) -> bool {
        self.leave_queue(Stage::Lost(loss), cancelled).is_some()
    }

    fn leave_queue(&self, next: Stage, cancelled: &Cancelled) -> Option<Work> {
        let mut stage = self.stage();
        match mem::replace(&mut *stage, next) {
            Stage::Queued(work) => Some(work),
            Stage::Cancelled => {
                cancelled.items.fetch_sub(1, SeqCst);
                cancelled.bytes.fetch_sub(self.weight, SeqCst);
                None
            }
            before @ (Stage::Started | Stage::Lost(_)) => {
                *stage = before;
                None
            }
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        matches!(*self.stage(), Stage::Cancelled)
    }

    /// Why the job left the queue, if it was not run.
    pub(super) fn loss(&self) -> Option<Loss> {
        match *self.stage() {
            Stage::Lost(loss) => Some(loss),
            _ => None,
        }
    }
}
