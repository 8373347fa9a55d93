//! A limit that several threads use all the time, with enough slots for slot caches.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use plimsoll_core::support::shards;

use crate::{Call, Limit, Stage, Unpark, call, park, queued};

/// Enough for each core to cache a slot or two.
fn limit() -> usize {
    4 * shards() + 4
}

/// Checks that all slots are free, and each exists once.
fn assert_all_free(limit: &Limit, slots: usize) {
    let handle = limit.handle();
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
    handle.clear_queue();
    let mut all: Vec<_> = (0..=slots).map(|_| call(limit)).collect();
    assert!(all.pop().is_some_and(|mut last| last.rejection().is_some()));
    assert!(all.iter_mut().all(Call::is_running));
    assert_eq!(handle.in_flight(), slots);
}

#[test]
fn no_request_is_rejected_while_a_slot_is_free_on_another_core() {
    let slots = limit();
    for seed in 0..10 {
        let limit = queued(slots, 64);
        let handle = limit.handle();
        handle.clear_queue();
        thread::scope(|scope| {
            for n in 0..4 {
                let limit = &limit;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed * 10 + n);
                    for _ in 0..5_000 {
                        let mut calls: Vec<_> = (0..random.usize(1..=slots / 4))
                            .map(|_| call(limit))
                            .collect();
                        assert!(calls.iter_mut().all(Call::is_running), "rejected");
                        random.shuffle(&mut calls);
                        calls.into_iter().for_each(Call::finish);
                    }
                });
            }
            // Higher than needed, and back.
            for more in 0..200 {
                handle.set_limit(slots + more % 3).unwrap();
                thread::yield_now();
            }
            handle.set_limit(slots).unwrap();
        });
        assert_all_free(&limit, slots);
    }
}

/// Requests wait for up to an hour, so only a slot that is handed over ends a wait.
#[test]
fn no_slot_stays_cached_while_a_request_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (slots, waited) = (limit(), AtomicUsize::new(0));
    for seed in 0..10 {
        let limit = queued(slots, 64);
        let handle = limit.handle();
        handle.set_queue(64, Duration::from_secs(3600)).unwrap();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for n in 0..4 {
                let (limit, inside, waited, runtime) = (&limit, &inside, &waited, &runtime);
                scope.spawn(move || {
                    let _context = runtime.enter();
                    let mut random = fastrand::Rng::with_seed(seed * 10 + n);
                    let waker = Unpark::this();
                    for _ in 0..1_000 {
                        // A thread without a slot waits for one; a thread with a slot takes more if
                        // some are free.
                        let mut first = call(limit);
                        first.poll_with(&waker);
                        while matches!(first.stage, Stage::Waiting(_)) {
                            waited.fetch_add(1, SeqCst);
                            park();
                            first.poll_with(&waker);
                        }
                        let mut calls = vec![first];
                        for _ in 0..random.usize(..=slots) {
                            let mut more = call(limit);
                            if more.is_running() {
                                calls.push(more);
                            }
                        }
                        let held = calls.len();
                        assert!(
                            inside.fetch_add(held, SeqCst) + held <= slots,
                            "the limit is exceeded"
                        );
                        thread::yield_now();
                        inside.fetch_sub(held, SeqCst);
                        calls.into_iter().for_each(Call::finish);
                    }
                });
            }
        });
        assert_all_free(&limit, slots);
    }
    assert_ne!(waited.into_inner(), 0, "no request had to wait");
}
