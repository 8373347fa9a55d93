//! Compares the slots with a plain counter.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn a_slot_given_back_while_has_waiters_is_not_for_newcomers() {
    let slots = Slots::new();
    assert!(slots.enter(1));
    assert!(!slots.enter_or_mark(1));
    assert!(
        slots.release().has_waiters(),
        "the release reports the waiter"
    );
    assert!(!slots.enter(1), "between the release and the grant, too");
    assert!(slots.grant(1, true));
    assert!(!slots.release().has_waiters(), "the queue is empty");
    assert!(slots.is_idle() && slots.enter(1));
}

#[test]
fn more_in_flight_than_a_lowered_limit_is_full() {
    let slots = Slots::new();
    assert!(slots.enter(2) && slots.enter(2));
    assert!(!slots.enter(1) && !slots.enter_or_mark(1));
    assert!(
        slots.release().has_waiters() && !slots.grant(1, true),
        "one is still in flight"
    );
    assert!(slots.release().has_waiters() && slots.grant(1, true));
    assert_eq!(slots.in_flight(), 1);
}

#[test]
fn slots_cached_are_taken_there_and_found_from_everywhere() {
    let slots = Slots::with_caches(2);
    slots.spread_below(32, 32);
    for _ in 0..4 {
        assert!(slots.enter_by(|| 0, 32));
    }
    for _ in 0..4 {
        assert!(!slots.release_by(|| 0).has_waiters());
    }
    let word = slots.word.load(SeqCst);
    assert_eq!(word, spread_under(32) + 4, "they stay in the cache");
    assert_eq!(slots.in_flight(), 0);
    assert!(slots.enter_by(|| 0, 32));
    assert_eq!(
        (slots.word.load(SeqCst), slots.in_flight()),
        (word, 1),
        "and are taken from it"
    );
    // 31 more, three of them from the other cache.
    assert!((0..31).all(|_| slots.enter_by(|| 1, 32)));
    assert!(!slots.enter_by(|| 0, 32) && !slots.enter_by(|| 1, 32));
    assert_eq!(slots.word.load(SeqCst), 32, "exact, and without the mark");
}

#[derive(Debug, Clone)]
enum Step {
    Acquire(usize),
    Release(usize),
    Limit(u32),
    Spread,
    /// As a request that may be queued.
    Wait,
    /// As the last waiter in the queue, or an earlier one.
    Grant(bool),
    Abandon,
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_usize..4).prop_map(Step::Acquire),
        10 => (0_usize..4).prop_map(Step::Release),
        1 => (1_u32..100).prop_map(Step::Limit),
        // Limits that recur.
        2 => prop_oneof![Just(20), Just(40), Just(80)].prop_map(Step::Limit),
        2 => Just(Step::Spread),
        1 => Just(Step::Wait),
        2 => any::<bool>().prop_map(Step::Grant),
        1 => Just(Step::Abandon),
        1 => Just(Step::Idle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// In sequence, cached slots behave as a counter and a flag.
    #[test]
    fn cached_slots_behave_as_a_plain_counter(
        mut limit in 1_u32..100,
        steps in vec(step(), 1..300),
    ) {
        let slots = Slots::with_caches(4);
        let (mut inside, mut waits) = (0_u32, false);
        for step in steps {
            match step {
                Step::Acquire(core) => {
                    let free = !waits && inside < limit;
                    prop_assert_eq!(slots.enter_by(|| core, limit), free);
                    inside += u32::from(free);
                }
                Step::Release(core) if inside > 0 => {
                    prop_assert_eq!(slots.release_by(|| core).has_waiters(), waits);
                    inside -= 1;
                }
                Step::Limit(new) => limit = new,
                Step::Spread => slots.spread_below(limit, limit),
                Step::Wait if !waits => {
                    waits = inside >= limit;
                    prop_assert_eq!(slots.enter_or_mark(limit), !waits);
                    inside += u32::from(!waits);
                }
                Step::Grant(last) if waits => {
                    let free = inside < limit;
                    prop_assert_eq!(slots.grant(limit, last), free);
                    inside += u32::from(free);
                    waits &= !(free && last);
                }
                Step::Abandon if waits => {
                    slots.unmark();
                    waits = false;
                }
                Step::Idle => prop_assert_eq!(slots.is_idle(), inside == 0 && !waits),
                _ => {}
            }
            prop_assert_eq!(slots.in_flight(), inside);
        }
    }
}

/// Twelve slots for three threads that take four each: every attempt must find one, in whichever
/// cache it is.
#[test]
fn no_request_is_rejected_while_a_slot_is_free() {
    for _ in 0..20 {
        let slots = Slots::with_caches(2);
        let most = AtomicUsize::new(0);
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..3 {
                let (slots, most, inside) = (&slots, &most, &inside);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..5_000 {
                        let wanted = random.usize(1..=4);
                        for _ in 0..wanted {
                            let core = random.usize(..2);
                            assert!(slots.enter_by(|| core, 12), "rejected");
                            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        }
                        slots.spread_below(12, 12);
                        for _ in 0..wanted {
                            let core = random.usize(..2);
                            inside.fetch_sub(1, SeqCst);
                            assert!(!slots.release_by(|| core).has_waiters());
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= 12);
        assert_eq!(slots.in_flight(), 0);
        assert!(slots.is_idle());
    }
}

/// Three threads take up to five each for four slots: some are rejected, and the limit is never
/// exceeded.
#[test]
fn the_limit_holds_while_caches_open_and_close() {
    let slots = Slots::with_caches(2);
    let limit = 8;
    // Four are never released.
    assert!((0..4).all(|_| slots.enter(limit)));
    let inside = AtomicUsize::new(4);
    let rejected = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..3_usize {
            let (slots, inside, rejected) = (&slots, &inside, &rejected);
            scope.spawn(move || {
                for round in 0..50_000 {
                    let mut entered = 0;
                    for _ in 0..=4 {
                        if slots.enter_by(|| thread + round, limit) {
                            assert!(inside.fetch_add(1, SeqCst) < 8);
                            entered += 1;
                        } else {
                            rejected.fetch_add(1, SeqCst);
                        }
                    }
                    slots.spread_below(limit, limit);
                    for _ in 0..entered {
                        inside.fetch_sub(1, SeqCst);
                        assert!(!slots.release_by(|| thread + round).has_waiters());
                    }
                }
            });
        }
    });
    assert_eq!(slots.in_flight(), 4);
    assert_ne!(rejected.into_inner(), 0);
}

/// Slots cached under one limit cannot be taken after more were taken under a higher limit.
#[test]
fn slots_cached_under_a_lower_limit_cannot_exceed_it_later() {
    let slots = Slots::with_caches(2);
    slots.spread_below(32, 32);
    assert!(slots.enter_by(|| 0, 32));
    assert!((0..40).all(|_| slots.enter_by(|| 1, 64)));
    assert!(!slots.release_by(|| 0).has_waiters());
    assert!(!slots.enter_by(|| 0, 32), "forty are in flight");
    assert!(slots.enter_by(|| 0, 64));
}
