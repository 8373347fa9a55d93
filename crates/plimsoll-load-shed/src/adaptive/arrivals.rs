//! Counts arrivals by priority level.

use std::array;

use crate::sync::{AtomicU32, Ordering::Relaxed};

/// Arrivals by level.
///
/// The counts only grow, and a reader takes the difference to its previous reading: a reset after
/// each reading would lose the arrivals in between.
#[derive(Debug)]
pub(crate) struct Arrivals<const N: usize>([AtomicU32; N]);

/// The counts at the previous reading.
#[derive(Debug)]
pub(crate) struct Seen<const N: usize>([u32; N]);

impl<const N: usize> Arrivals<N> {
    pub(crate) fn new() -> (Self, Seen<N>) {
        (Self(array::from_fn(|_| AtomicU32::new(0))), Seen([0; N]))
    }

    /// Counts an arrival of this level, which must be below `N`.
    #[inline]
    pub(crate) fn add(&self, level: u16) {
        self.0[usize::from(level)].fetch_add(1, Relaxed);
    }
}

impl<const N: usize> Seen<N> {
    /// Returns the arrivals of each level since the previous call.
    pub(crate) fn since(&mut self, arrivals: &Arrivals<N>) -> [u32; N] {
        array::from_fn(|level| {
            let count = arrivals.0[level].load(Relaxed);
            count.wrapping_sub(std::mem::replace(&mut self.0[level], count))
        })
    }

    /// Returns the number of arrivals since the last [`since`](Self::since), and changes nothing.
    pub(crate) fn so_far(&self, arrivals: &Arrivals<N>) -> u64 {
        let since =
            |(count, seen): (&AtomicU32, &u32)| u64::from(count.load(Relaxed).wrapping_sub(*seen));
        arrivals.0.iter().zip(&self.0).map(since).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_arrival_is_reported_once_even_when_the_count_wraps() {
        let (arrivals, mut seen) = Arrivals::<2>::new();
        arrivals.0[1].store(u32::MAX, Relaxed);
        seen.since(&arrivals);
        arrivals.add(1);
        arrivals.add(1);
        arrivals.add(0);
        assert_eq!(seen.so_far(&arrivals), 3);
        assert_eq!(seen.since(&arrivals), [1, 2]);
        assert_eq!(seen.since(&arrivals), [0, 0]);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::{Arc, Mutex};

    use super::*;

    /// Two threads count and close windows at once: each arrival is in exactly one window.
    #[test]
    fn each_arrival_is_in_exactly_one_window() {
        loom::model(|| {
            let (arrivals, seen) = Arrivals::<2>::new();
            let shared = Arc::new((arrivals, Mutex::new((seen, 0))));
            let arrive = |shared: &(Arrivals<2>, Mutex<(Seen<2>, u32)>)| {
                shared.0.add(1);
                if let Ok(mut closer) = shared.1.try_lock() {
                    let (seen, sum) = &mut *closer;
                    *sum += seen.since(&shared.0).iter().sum::<u32>();
                }
            };
            let other = {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || arrive(&shared))
            };
            arrive(&shared);
            other.join().unwrap();
            let mut closer = shared.1.lock().unwrap();
            let (seen, sum) = &mut *closer;
            let rest: u32 = seen.since(&shared.0).iter().sum();
            assert_eq!(*sum + rest, 2);
        });
    }
}
