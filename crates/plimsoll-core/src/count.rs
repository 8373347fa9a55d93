//! Counters for events that must be visible.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed},
    },
};

use crate::{shard, shards};

/// A counter that many threads can increment.
///
/// Performance: rejections are counted, and in an overload they come on all processors at once.
/// From the first time that two threads collide, a counter has one part per processor.
#[derive(Debug, Default)]
pub struct Counter {
    count: AtomicU64,
    parts: OnceLock<Box<[Part]>>,
}

/// One part on its own cache lines (two, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Counter {
    /// A counter at zero.
    pub const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            parts: OnceLock::new(),
        }
    }

    /// Adds one.
    #[inline]
    pub fn add(&self) {
        if let Some(parts) = self.parts.get() {
            parts[shard() % parts.len()].0.fetch_add(1, Relaxed);
            return;
        }
        let count = self.count.load(Relaxed);
        let added = self
            .count
            .compare_exchange(count, count.wrapping_add(1), Relaxed, Relaxed);
        if added.is_err() {
            self.add_in_parts();
        }
    }

    #[cold]
    fn add_in_parts(&self) {
        let parts = self
            .parts
            .get_or_init(|| (0..shards()).map(|_| Part::default()).collect());
        parts[shard() % parts.len()].0.fetch_add(1, Relaxed);
    }

    /// Returns the count so far.
    pub fn get(&self) -> u64 {
        let parts = self.parts.get().into_iter().flatten();
        parts.fold(self.count.load(Acquire), |sum, part| {
            sum.wrapping_add(part.0.load(Relaxed))
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_counter_keeps_its_count_when_it_is_split_in_parts() {
        let counter = Counter::new();
        counter.add();
        counter.add_in_parts();
        counter.add();
        assert_eq!(counter.get(), 3);
        assert_eq!(counter.count.load(Relaxed), 1, "the rest is in parts");
    }

    #[test]
    fn a_counter_loses_no_increment_of_concurrent_threads() {
        let counter = Counter::new();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..100_000).for_each(|_| counter.add()));
            }
        });
        assert_eq!(counter.get(), 300_000);
    }
}
