//! The results of jobs that were accepted with a 202.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::pnm::Image;

/// How many results are kept: the oldest is evicted.
const KEPT: usize = 32;

/// Results by number; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Results(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    next: u64,
    entries: VecDeque<(u64, Option<Image>)>,
}

/// What is known about a job.
pub(crate) enum Found {
    Ready(Image),
    Pending,
    /// Never accepted, failed, or evicted.
    Unknown,
}

impl Results {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new job.
    pub(crate) fn begin(&self) -> u64 {
        let mut kept = self.lock();
        let id = kept.next;
        kept.next += 1;
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back((id, None));
        id
    }

    pub(crate) fn put(&self, id: u64, image: Image) {
        let mut kept = self.lock();
        if let Some(entry) = kept.entries.iter_mut().find(|entry| entry.0 == id) {
            entry.1 = Some(image);
        }
    }

    /// Removes a job that was not queued.
    pub(crate) fn cancel(&self, id: u64) {
        self.lock().entries.retain(|entry| entry.0 != id);
    }

    pub(crate) fn get(&self, id: u64) -> Found {
        let kept = self.lock();
        match kept.entries.iter().find(|entry| entry.0 == id) {
            Some((_, Some(image))) => Found::Ready(image.clone()),
            Some((_, None)) => Found::Pending,
            None => Found::Unknown,
        }
    }
}
