//! How full a bounded queue is.

use std::sync::{
    Arc,
    atomic::{
        AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

use plimsoll_core::LoadSignal;

use crate::InvalidLoadShed;

/// Counts what is in a bounded queue; as a signal, its load is depth over capacity. Clones count together.
///
/// It bounds what goes through [`try_enter`](Self::try_enter), and only measures what is counted with
/// [`enter`](Self::enter) or [`add`](Self::add): the queue has to have a bound of its own then. Queues that tell their
/// own length need none of this; a closure does:
///
/// ```
/// use plimsoll_load_shed::LoadShed;
/// let (sender, receiver) = tokio::sync::mpsc::channel::<u32>(1024);
/// let queue = sender.clone();
/// let shed = LoadShed::new(move || 1.0 - queue.capacity() as f64 / queue.max_capacity() as f64);
/// # let _ = (sender, receiver, shed);
/// ```
#[derive(Debug, Clone)]
pub struct Depth(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    depth: AtomicUsize,
    capacity: usize,
}

/// One entry of the queue: keep it with the entry, and drop it with the entry.
#[derive(Debug)]
#[must_use = "dropping the guard takes the entry out again"]
pub struct DepthGuard(Depth);

impl Depth {
    /// An empty queue for up to `capacity` entries.
    ///
    /// # Errors
    ///
    /// When `capacity` is 0.
    pub fn new(capacity: usize) -> Result<Self, InvalidLoadShed> {
        if capacity == 0 {
            return Err(InvalidLoadShed::Capacity(capacity));
        }
        Ok(Self(Arc::new(Inner {
            depth: AtomicUsize::new(0),
            capacity,
        })))
    }

    /// One entry more, unless there are `capacity` already. It is counted until the guard is dropped.
    pub fn try_enter(&self) -> Option<DepthGuard> {
        let room = |depth: usize| (depth < self.0.capacity).then(|| depth + 1);
        self.0.depth.fetch_update(SeqCst, Relaxed, room).ok()?;
        Some(DepthGuard(self.clone()))
    }

    /// One entry more, beyond the capacity if need be. It is counted until the guard is dropped.
    pub fn enter(&self) -> DepthGuard {
        self.add();
        DepthGuard(self.clone())
    }

    /// One entry more, to be taken out with [`remove`](Self::remove).
    pub fn add(&self) {
        _ = self
            .0
            .depth
            .fetch_update(SeqCst, Relaxed, |depth| Some(depth.saturating_add(1)));
    }

    /// One entry less. An empty queue stays empty.
    pub fn remove(&self) {
        _ = self
            .0
            .depth
            .fetch_update(SeqCst, Relaxed, |depth| depth.checked_sub(1));
    }

    /// Entries now.
    pub fn depth(&self) -> usize {
        self.0.depth.load(Relaxed)
    }

    /// Entries that make a load of 1.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}

impl Drop for DepthGuard {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl LoadSignal for Depth {
    #[inline]
    fn load(&self) -> f64 {
        self.depth() as f64 / self.0.capacity as f64
    }
}
