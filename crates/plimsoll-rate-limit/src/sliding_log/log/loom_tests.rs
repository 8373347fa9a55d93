//! Every interleaving of taking, rejecting and refunding units.

use loom::{sync::Arc, thread};
use plimsoll_core::policy::Live;

use super::*;

/// Two units in any ten nanoseconds.
fn two() -> (Terms, Log) {
    (Live::new([2, 10]), Log::new(2))
}

fn take(shared: &(Terms, Log), now: u64, units: u32) -> Result<Taken, Rejected> {
    shared.1.take(&shared.0, 2, now, units)
}

/// Runs in a separate thread: loom tries fewer orders with the thread that spawned the others.
fn at_once<T: 'static>(
    shared: &Arc<(Terms, Log)>,
    act: impl FnOnce(&(Terms, Log)) -> T + 'static,
) -> T {
    let shared = Arc::clone(shared);
    thread::spawn(move || act(&shared)).join().unwrap()
}

#[test]
fn two_threads_take_exactly_the_limit() {
    loom::model(|| {
        let shared = Arc::new(two());
        let greedy = |shared: &(Terms, Log)| (0..2).filter(|_| take(shared, 0, 1).is_ok()).count();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || greedy(&shared))
        };
        let mine = at_once(&shared, greedy);
        assert_eq!(mine + other.join().unwrap(), 2);
        assert_eq!(take(&shared, 9, 1).unwrap_err(), Rejected::Wait(1));
    });
}

#[test]
fn a_refunded_unit_can_be_taken_again() {
    loom::model(|| {
        let shared = Arc::new(two());
        let first = take(&shared, 0, 1).unwrap();
        assert!(take(&shared, 3, 1).is_ok());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.refund(&shared.0, first);
                take(&shared, 5, 1).is_ok()
            })
        };
        // Rejected without the lock, or admitted after the refund.
        let mine = at_once(&shared, |shared| take(shared, 5, 1));
        assert!(
            mine.is_ok()
                || mine.unwrap_err() == Rejected::Wait(5)
                || mine.unwrap_err() == Rejected::Wait(8)
        );
        assert_ne!(
            mine.is_ok(),
            other.join().unwrap(),
            "one unit for one of the two"
        );
        assert_eq!(take(&shared, 12, 1).unwrap_err(), Rejected::Wait(1));
        assert!(take(&shared, 13, 1).is_ok());
    });
}

#[test]
fn takes_all_units_or_none() {
    loom::model(|| {
        let shared = Arc::new(two());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || take(&shared, 0, 2).is_ok())
        };
        let mine = at_once(&shared, |shared| take(shared, 0, 2).is_ok());
        assert_ne!(mine, other.join().unwrap());
        assert!(take(&shared, 0, 1).is_err());
    });
}

#[test]
fn a_changed_limit_applies_to_later_requests() {
    loom::model(|| {
        let shared = Arc::new((Terms::new([1, 10]), Log::new(2)));
        assert!(take(&shared, 0, 1).is_ok());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.0.set([2, 10]);
                take(&shared, 0, 1).is_ok()
            })
        };
        let mine = at_once(&shared, |shared| take(shared, 0, 1).is_ok());
        assert_ne!(mine, other.join().unwrap());
        assert_eq!(take(&shared, 0, 1).unwrap_err(), Rejected::Wait(10));
    });
}
