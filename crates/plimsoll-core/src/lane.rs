//! Shards of counters: one per processor, so that threads do not contend for cache lines.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Returns this thread's shard: a number to take modulo [`lanes`]. Threads are numbered in the
/// order of their first call.
#[inline]
pub fn lane() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = |lane: &Cell<Option<usize>>| {
        lane.get().unwrap_or_else(|| {
            let number = THREADS.fetch_add(1, Relaxed);
            lane.set(Some(number));
            number
        })
    };
    // `LANE` is gone while the thread is torn down.
    LANE.try_with(number).unwrap_or(0)
}

/// Returns the useful number of shards: the number of processors, rounded up to a power of two, at
/// most 64.
pub fn lanes() -> usize {
    static LANES: OnceLock<usize> = OnceLock::new();
    *LANES.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        processors.clamp(1, 64).next_power_of_two()
    })
}
