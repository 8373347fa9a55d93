//! The lock between threads.

use std::{
    hint,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
};

use super::lock::Lock;

/// Yields of a thread that finds the lock taken, before it sleeps: more than `lock.rs` has.
const YIELDS: u32 = 64;

#[test]
fn many_threads_share_the_lock() {
    let lock = Lock::new(0_u64);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let mut count = lock.lock();
                    let before = *count;
                    hint::black_box(&mut *count);
                    *count = before + 1;
                }
            });
        }
    });
    assert_eq!(*lock.lock(), 32_000);
}

#[test]
fn a_suspended_holder_is_waited_for() {
    let lock = Lock::new(0_u64);
    let started = AtomicU64::new(0);
    thread::scope(|scope| {
        let mut held = lock.lock();
        for _ in 0..4 {
            scope.spawn(|| {
                started.fetch_add(1, SeqCst);
                *lock.lock() *= 2;
            });
        }
        // Longer than the looks and yields of the threads.
        while started.load(SeqCst) < 4 {
            thread::yield_now();
        }
        for _ in 0..20 * YIELDS {
            thread::yield_now();
        }
        *held += 1;
    });
    assert_eq!(*lock.lock(), 16, "each thread has waited for the holder");
}
