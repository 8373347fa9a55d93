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
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(UNNUMBERED) };
    }
    let number = |own: &Cell<usize>| {
        // Performance: a number outside of the range in place of an option is one comparison
        // (`instructions`, `retry@accept`).
        let number = own.get();
        if number == UNNUMBERED {
            assign(own)
        } else {
            number
        }
    };
    // `SHARD` is gone while the thread is torn down.
    SHARD.try_with(number).unwrap_or(0)
}

/// The number of a thread that has none yet. No process has that many threads.
const UNNUMBERED: usize = usize::MAX;

#[cold]
#[inline(never)]
fn assign(own: &Cell<usize>) -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    let number = THREADS.fetch_add(1, Relaxed);
    own.set(number);
    number
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
