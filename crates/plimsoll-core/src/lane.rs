//! Which of several copies of a thing a thread uses, so that threads do not wait for each other's cache lines.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The lane of this thread: a number, to be taken modulo [`lanes`]. Threads that follow each other have numbers that do.
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
    // A thread that is being torn down has none of its own any more.
    LANE.try_with(number).unwrap_or(0)
}

/// How many lanes are worth having here: as many as there are processors, rounded up to a power of two, at most 64.
pub fn lanes() -> usize {
    static LANES: OnceLock<usize> = OnceLock::new();
    *LANES.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        processors.clamp(1, 64).next_power_of_two()
    })
}
