//! Shards of counters: one per processor, so that threads do not contend for cache lines.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Returns this thread's shard: a number to take modulo [`shards`]. Threads are numbered in the
/// order of their first call.
#[inline]
pub fn shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = |own: &Cell<Option<usize>>| {
        own.get().unwrap_or_else(|| {
            let number = THREADS.fetch_add(1, Relaxed);
            own.set(Some(number));
            number
        })
    };
    // `SHARD` is gone while the thread is torn down.
    SHARD.try_with(number).unwrap_or(0)
}

/// Returns the useful number of shards: the number of processors, rounded up to a power of two, at
/// most 64.
pub fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    *SHARDS.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        processors.clamp(1, 64).next_power_of_two()
    })
}
