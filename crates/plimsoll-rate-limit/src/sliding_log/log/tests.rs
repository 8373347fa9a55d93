use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use plimsoll_core::policy::Live;

use super::*;

/// So long a rejection may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_full_log_rejects_while_another_thread_holds_its_lock() {
    // The generation of the terms wraps at 16.
    for changes in [0, 1, 18] {
        let terms = Live::new([5, 7]);
        for _ in 0..changes {
            terms.set([2, 100]);
        }
        terms.set([2, 10]);
        let shared = Arc::new((terms, Log::new(2)));
        let (terms, log) = &*shared;
        assert!(log.take(terms, 2, 3, 2).is_ok());
        let held = log.lock();
        let (sender, decided) = mpsc::channel();
        let other = Arc::clone(&shared);
        thread::spawn(move || {
            let (terms, log) = &*other;
            let rejected = log.take(terms, 2, 4, 1).err();
            _ = sender.send(rejected);
        });
        let rejected = decided
            .recv_timeout(SOON)
            .expect("decided without the lock");
        assert_eq!(rejected, Some(Rejected::Wait(9)), "{changes} changes");
        drop(held);
    }
}

#[test]
fn the_longest_period_is_counted_at_the_end_of_time() {
    let period = MAX_PERIOD.as_nanos() as u64;
    let (terms, log) = (Live::new([1, period]), Log::new(1));
    assert!(log.take(&terms, 1, u64::MAX, 1).is_ok());
    // The first rejection reads the ring, the second one the time that was stored.
    for _ in 0..2 {
        let rejected = log.take(&terms, 1, u64::MAX, 1).err();
        assert_eq!(rejected, Some(Rejected::Wait(period)));
    }
}

#[test]
fn up_to_fifteen_changes_end_the_wait_of_a_full_log() {
    for changes in 1..16 {
        let (terms, log) = (Live::new([2, 100]), Log::new(4));
        assert!(log.take(&terms, 4, 0, 2).is_ok());
        assert_eq!(log.take(&terms, 4, 0, 1).err(), Some(Rejected::Wait(100)));
        for _ in 0..changes {
            terms.set([3, 100]);
        }
        assert!(log.take(&terms, 4, 0, 1).is_ok(), "{changes} changes");
    }
}
