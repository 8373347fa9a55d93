//! The depth of a bounded queue, as a signal.

use std::sync::{
    Arc,
    atomic::{
        AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

use plimsoll_core::LoadSignal;

use crate::InvalidDepth;

/// Counts the entries of a bounded queue; as a signal, the load is depth over capacity. Clones
/// share the count.
///
/// [`try_enter`](Self::try_enter) enforces the capacity. [`enter`](Self::enter) and
/// [`add`](Self::add) only measure, so the queue needs its own bound. For a queue that has a length
/// method, a closure is enough:
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

/// One entry of the queue. Keep the guard with the entry, and drop it with the entry.
#[derive(Debug)]
#[must_use = "dropping the guard removes the entry"]
pub struct DepthGuard(Depth);

impl Depth {
    /// An empty queue for up to `capacity` entries.
    ///
    /// # Errors
    ///
    /// When `capacity` is 0.
    pub fn new(capacity: usize) -> Result<Self, InvalidDepth> {
        if capacity == 0 {
            return Err(InvalidDepth);
        }
        Ok(Self(Arc::new(Inner {
            depth: AtomicUsize::new(0),
            capacity,
        })))
    }

    /// Adds an entry, unless there are `capacity` entries. It is counted until the guard is
    /// dropped.
    pub fn try_enter(&self) -> Option<DepthGuard> {
        let room = |depth: usize| (depth < self.0.capacity).then(|| depth + 1);
        self.0.depth.fetch_update(SeqCst, Relaxed, room).ok()?;
        Some(DepthGuard(self.clone()))
    }

    /// Adds an entry, also beyond the capacity. It is counted until the guard is dropped.
    pub fn enter(&self) -> DepthGuard {
        self.add();
        DepthGuard(self.clone())
    }

    /// Adds an entry, to be removed with [`remove`](Self::remove).
    pub fn add(&self) {
        _ = self
            .0
            .depth
            .fetch_update(SeqCst, Relaxed, |depth| Some(depth.saturating_add(1)));
    }

    /// Removes an entry. An empty queue stays empty.
    pub fn remove(&self) {
        _ = self
            .0
            .depth
            .fetch_update(SeqCst, Relaxed, |depth| depth.checked_sub(1));
    }

    /// The current number of entries.
    pub fn depth(&self) -> usize {
        self.0.depth.load(Relaxed)
    }

    /// The number of entries that is a load of 1.
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
