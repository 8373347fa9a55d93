//! A work queue.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use plimsoll_core::figures::{self, Figure, Figures};

use crate::work::{Running, WorkQueue};

impl WorkQueue {
    /// Returns the figures of this queue, for a dashboard. They do not keep its workers running.
    pub fn figures(&self) -> impl Figures + use<> {
        WorkFigures(Arc::clone(&self.inner.running))
    }
}

struct WorkFigures(Arc<Running>);

impl Figures for WorkFigures {
    fn policy(&self) -> &'static str {
        "work-queue"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let Running { counters, .. } = &*self.0;
        each(&figures::LIMIT, self.0.workers as f64);
        each(&figures::IN_USE, self.0.busy.load(SeqCst) as f64);
        each(&figures::QUEUED, self.0.waiting() as f64);
        each(&figures::QUEUE_CAPACITY, self.0.capacity() as f64);
        each(&figures::SENT, counters.accepted.get() as f64);
        let ended = counters.completed.get() + counters.panicked.get();
        each(&figures::RECEIVED, ended as f64);
        each(&figures::DROPPED, counters.evicted.get() as f64);
        each(&figures::ABANDONED, counters.hung_up.get() as f64);
        each(&figures::REJECTED, counters.rejected.get() as f64);
    }
}
