//! Interleavings in which slot caches are used, opened and closed, with up to five preemptions;
//! more would take hours.

use loom::{sync::Arc, thread};

use super::*;

const LIMIT: u32 = 8;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(5);
    builder.check(model);
}

/// Slots spread over two caches: `held` are never released, and each cache in `cached` has one free
/// slot.
fn spread(held: u32, cached: &[usize]) -> Arc<Slots> {
    let slots = Slots::with_caches(2);
    assert!((0..held).all(|_| slots.enter_by(|| 0, LIMIT)));
    slots.spread_below(LIMIT, LIMIT);
    for core in cached {
        assert!(slots.enter_by(|| *core, LIMIT));
    }
    for core in cached {
        _ = slots.release_by(|| *core);
    }
    assert_eq!(slots.in_flight(), held);
    assert_eq!(
        slots.word.load(Relaxed),
        spread_under(LIMIT) + u64::from(held) + cached.len() as u64
    );
    Arc::new(slots)
}

fn visit(slots: &Slots, enter: usize, leave: usize) {
    assert!(slots.enter_by(|| enter, LIMIT), "a slot is free");
    assert!(!slots.release_by(|| leave).has_waiters());
}

fn assert_held(slots: &Slots, held: u32) {
    assert_eq!(slots.in_flight(), held);
    slots.close();
    assert_eq!(slots.word.load(Relaxed), held.into());
}

#[test]
fn two_threads_find_two_slots_in_any_caches() {
    for [enter, leave] in [[0, 0], [0, 1], [1, 0]] {
        check(move || {
            let slots = spread(6, &[0, 1]);
            let other = {
                let slots = Arc::clone(&slots);
                thread::spawn(move || {
                    visit(&slots, enter, leave);
                    visit(&slots, enter, leave);
                })
            };
            visit(&slots, 0, 0);
            other.join().unwrap();
            assert_held(&slots, 6);
        });
    }
}

#[test]
fn two_of_three_threads_get_two_slots() {
    check(|| {
        let slots = spread(6, &[0, 1]);
        let others = [0, 1].map(|core| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || u32::from(slots.enter_by(|| core, LIMIT)))
        });
        let mine = u32::from(slots.enter_by(|| 0, LIMIT));
        let all = others.into_iter().map(|other| other.join().unwrap());
        assert_eq!(all.sum::<u32>() + mine, 2);
        assert_held(&slots, 8);
    });
}

/// The other thread releases, takes and caches slots meanwhile. The waiter must be admitted, or a
/// release must report it.
fn check_waiter_is_noticed(slots: fn() -> Arc<Slots>, may_spread: bool) {
    check(move || {
        let slots = slots();
        let other = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || {
                let mut reported = slots.release_by(|| 0).has_waiters();
                if may_spread {
                    slots.spread_below(LIMIT, LIMIT);
                }
                if slots.enter_by(|| 0, LIMIT) {
                    reported |= slots.release_by(|| 0).has_waiters();
                }
                reported
            })
        };
        let entered = slots.enter_or_mark(LIMIT);
        let reported = other.join().unwrap();
        if !entered {
            assert!(reported, "no release reported the waiter");
            assert!(slots.grant(LIMIT, true), "there is a slot for the waiter");
        }
        assert_held(&slots, 8);
    });
}

#[test]
fn a_slot_is_not_left_in_a_lane_while_has_waiters() {
    // Full, with one of the eight in an open cache.
    check_waiter_is_noticed(
        || {
            let slots = spread(7, &[0]);
            assert!(slots.enter_by(|| 0, LIMIT));
            slots
        },
        false,
    );
}

#[test]
fn lanes_are_not_opened_while_has_waiters() {
    check_waiter_is_noticed(
        || {
            let slots = Slots::with_caches(2);
            assert!((0..8).all(|_| slots.enter_by(|| 0, LIMIT)));
            Arc::new(slots)
        },
        true,
    );
}

#[test]
fn a_lower_limit_counts_for_slots_cached() {
    check(|| {
        let slots = spread(6, &[0, 1]);
        let other = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || _ = slots.release_by(|| 1))
        };
        // Six or five are in flight: neither leaves room under a limit of five.
        assert!(!slots.enter_by(|| 0, 5));
        other.join().unwrap();
        assert!(!slots.enter_by(|| 1, 5));
        assert_held(&slots, 5);
    });
}
