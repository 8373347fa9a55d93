//! A limit that several threads are at all the time, with enough slots for some to stay on the cores that gave them back.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use plimsoll_core::lanes;

use crate::{Call, Limit, Stage, Unpark, call, park, queued};

/// Enough for each core to keep a slot or two.
fn limit() -> usize {
    4 * lanes() + 4
}

/// Afterwards all slots are there, each once.
fn nothing_is_left(limit: &Limit, slots: usize) {
    let handle = limit.handle();
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
    handle.clear_queue();
    let mut all: Vec<_> = (0..=slots).map(|_| call(limit)).collect();
    assert!(all.pop().is_some_and(|mut last| last.rejection().is_some()));
    assert!(all.iter_mut().all(Call::is_running));
    assert_eq!(handle.in_flight(), slots);
}

#[test]
fn nobody_is_refused_while_a_slot_is_free_on_another_core() {
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
                        assert!(calls.iter_mut().all(Call::is_running), "refused");
                        random.shuffle(&mut calls);
                        calls.into_iter().for_each(Call::finish);
                    }
                });
            }
            // More than they need, and back.
            for more in 0..200 {
                handle.set_limit(slots + more % 3).unwrap();
                thread::yield_now();
            }
            handle.set_limit(slots).unwrap();
        });
        nothing_is_left(&limit, slots);
    }
}

/// Requests wait for up to an hour, so only a slot that is handed on ends a wait.
#[test]
fn a_slot_does_not_stay_behind_while_somebody_waits() {
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
                        // Who holds nothing waits for one; who holds one takes more if there are any.
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
                        assert!(inside.fetch_add(held, SeqCst) + held <= slots, "too many");
                        thread::yield_now();
                        inside.fetch_sub(held, SeqCst);
                        calls.into_iter().for_each(Call::finish);
                    }
                });
            }
        });
        nothing_is_left(&limit, slots);
    }
    assert_ne!(waited.into_inner(), 0, "nobody had to wait");
}
