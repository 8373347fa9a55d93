//! The number of open connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    open: AtomicUsize,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: AtomicUsize::new(0),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn take(this: &Arc<Self>) -> Option<Place> {
        let below = |open: usize| (open < this.limit).then_some(open + 1);
        this.open.fetch_update(SeqCst, SeqCst, below).ok()?;
        Some(Place(Arc::clone(this)))
    }
}

/// The place of one connection, released on drop.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}
