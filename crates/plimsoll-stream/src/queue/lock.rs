//! The lock of a queue.
//!
//! A lock of the standard library takes two atomic operations that wait for the memory: one to lock,
//! and one to unlock, which looks for sleeping threads. Here the second one is a plain store, which
//! saves a sixth of the time of a send and a receive (`streams`, `queue/push+pop`). So a thread that
//! waits is not woken: it looks again.
//!
//! That is seldom and short. An operation keeps the lock for some ten nanoseconds, and never while
//! code of the caller runs or a task waits. It takes longer only when the operating system suspends
//! the thread that has the lock. One thread then yields its processor, later sleeps for a moment, and
//! looks again. All others sleep until that one has the lock.
//!
//! The models of loom have `lock_of_loom` in its place.

use std::{
    hint,
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use spin::mutex::{SpinMutex, SpinMutexGuard};

/// Looks at the lock before a thread yields its processor.
///
/// The pause before each is twice as long as the last. Together ten to twenty microseconds, hundreds
/// of times as long as an operation; more looks would take the processor from a suspended holder. No
/// test depends on the value: after the looks come the yields.
const LOOKS: u32 = 4;
/// Pauses before the first look, in hints to the processor, each of 10 to 25 ns: together about as
/// long as forty operations.
///
/// So the thread that has the lock does many operations before its cache line moves: with 8,
/// `queue/block/4p` of `streams` takes a fifth longer.
const PAUSES: u32 = 64;
/// Yields before a thread sleeps between two looks.
///
/// A holder that waits for a processor gets one of those that are yielded. More yields delay only
/// the sleep below. `a_suspended_holder_is_waited_for` fails if the wait ends without the lock.
const YIELDS: u32 = 64;
/// The first sleep between two looks, for a holder that no yield lets run, such as one of lower
/// real-time priority. Each is twice as long as the last.
///
/// Much longer than a switch of threads, and a delay that the suspended holder has caused
/// already. The test above fails if the sleep has no end.
const SLEEP: Duration = Duration::from_micros(50);
/// The longest sleep between two looks.
///
/// A thread that looks every millisecond uses a hundredth of a processor.
/// `law_05_a_thread_that_waits_for_the_lock_sleeps` fails where wake-ups are slow if all sleeps are
/// as short as the first.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

pub(crate) type Guard<'a, T> = SpinMutexGuard<'a, T>;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Lock<T> {
    value: SpinMutex<T>,
    /// Held by the one thread that yields and sleeps between looks.
    first: Mutex<()>,
    /// For the sleeps of that thread: nothing notifies it.
    sleep: (Mutex<()>, Condvar),
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: SpinMutex::new(value),
            first: Mutex::new(()),
            sleep: (Mutex::new(()), Condvar::new()),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        match self.value.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> Guard<'_, T> {
        for look in 0..LOOKS {
            for _ in 0..(PAUSES << look) {
                hint::spin_loop();
            }
            if let Some(guard) = self.look() {
                return guard;
            }
        }
        let _first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut yields, mut sleep) = (0, SLEEP);
        loop {
            if let Some(guard) = self.look() {
                return guard;
            }
            if yields < YIELDS {
                yields += 1;
                thread::yield_now();
            } else {
                let (mutex, condvar) = &self.sleep;
                let asleep = mutex.lock().unwrap_or_else(PoisonError::into_inner);
                drop(condvar.wait_timeout(asleep, sleep));
                sleep = LONGEST_SLEEP.min(2 * sleep);
            }
        }
    }

    /// Locks if the lock looks free. An exchange alone would take the cache line from the holder.
    fn look(&self) -> Option<Guard<'_, T>> {
        if self.value.is_locked() {
            return None;
        }
        self.value.try_lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

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

    /// The time on a processor of this thread, in steps of 10 ms.
    fn processor_time() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name may have spaces. After it come the state and ten numbers, then two times.
        let (_, numbers) = stat.rsplit_once(')').unwrap();
        let times = numbers.split_whitespace().skip(11).take(2);
        let ticks: u64 = times.map(|time| time.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    // The holder sleeps in real time, because a processor is used in real time.
    #[allow(clippy::disallowed_methods)]
    #[test]
    fn law_05_a_thread_that_waits_for_the_lock_sleeps() {
        const HELD: Duration = Duration::from_millis(300);
        let lock = Lock::new(());
        let waiting = thread::scope(|scope| {
            let held = lock.lock();
            let waits = || {
                let before = processor_time();
                drop(lock.lock());
                processor_time().saturating_sub(before)
            };
            let threads = [scope.spawn(waits), scope.spawn(waits)];
            thread::sleep(HELD);
            drop(held);
            threads.map(|thread| thread.join().unwrap())
        });
        // One of them sleeps for nearly all of the time, and the other for all of it.
        let used: Duration = waiting.iter().sum();
        assert!(used < HELD / 3, "{waiting:?} on a processor");
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
}
