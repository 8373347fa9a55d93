//! The lock of a queue.
//!
//! A lock of the standard library takes two atomic operations that wait for the memory, one to lock
//! and one to unlock. That is half of the time of a send. This one takes the first only: its flag is
//! set by an exchange and cleared by a plain store. Such an unlock cannot see sleeping threads, so a
//! thread that finds the flag set waits actively.
//!
//! What bounds that: the lock is held for some ten nanoseconds, and never while code of the caller
//! runs or a task waits. Only if the holder is suspended by the operating system is it held for longer.
//! Then one thread yields its processor to others until the lock is free, and all further threads
//! sleep in a lock of the standard library.
//!
//! The models of loom run with loom's own lock instead.

#[cfg(not(loom))]
pub(crate) use active::{Guard, Lock};
#[cfg(loom)]
pub(crate) use model::{Guard, Lock};

#[cfg(not(loom))]
mod active {
    use std::{
        hint,
        sync::{Mutex, PoisonError},
        thread,
    };

    use spin::mutex::{SpinMutex, SpinMutexGuard};

    /// Attempts before a thread yields its processor.
    ///
    /// About a microsecond, some ten times as long as the lock is held. With fewer, threads that run
    /// at the same time sleep for each other; with more, a suspended holder costs more processor
    /// time. `many_threads_share_the_lock` fails when threads do not get the lock after them.
    const ATTEMPTS: u32 = 64;

    pub(crate) type Guard<'a, T> = SpinMutexGuard<'a, T>;

    #[derive(Debug)]
    pub(crate) struct Lock<T> {
        value: SpinMutex<T>,
        /// Held by the thread that yields.
        waits: Mutex<()>,
    }

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self {
                value: SpinMutex::new(value),
                waits: Mutex::new(()),
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
            for _ in 0..ATTEMPTS {
                hint::spin_loop();
                if let Some(guard) = self.attempt() {
                    return guard;
                }
            }
            let _first = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(guard) = self.attempt() {
                    return guard;
                }
                thread::yield_now();
            }
        }

        /// Locks, if the lock looks free: an exchange would take the flag away from its holder.
        fn attempt(&self) -> Option<Guard<'_, T>> {
            (!self.value.is_locked())
                .then(|| self.value.try_lock())
                .flatten()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn many_threads_share_the_lock() {
            let lock = Lock::new(0_u64);
            thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| {
                        for n in 0..2_000 {
                            let mut count = lock.lock();
                            *count += 1;
                            if n % 500 == 0 {
                                // As if the operating system suspended the holder.
                                thread::yield_now();
                            }
                        }
                    });
                }
            });
            assert_eq!(*lock.lock(), 32_000);
        }
    }
}

#[cfg(loom)]
mod model {
    use std::sync::PoisonError;

    pub(crate) type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

    #[derive(Debug)]
    pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
