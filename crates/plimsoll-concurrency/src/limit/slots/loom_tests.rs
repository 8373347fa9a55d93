//! Interleavings of lanes that are used, opened and closed: those with up to three preemptions, of which more would take
//! hours.

use loom::{sync::Arc, thread};

use super::*;

const LIMIT: u32 = 8;

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(5);
    model.check(check);
}

/// Spread over two lanes, with so many in flight that never leave, and one free slot in each of some lanes.
fn spread(held: u32, in_lanes: &[usize]) -> Arc<Slots> {
    let slots = Slots::with_lanes(2);
    assert!((0..held).all(|_| slots.enter_by(|| 0, LIMIT)));
    slots.spread_below(LIMIT, LIMIT);
    for lane in in_lanes {
        assert!(slots.enter_by(|| *lane, LIMIT));
    }
    for lane in in_lanes {
        _ = slots.leave_by(|| *lane);
    }
    assert_eq!(slots.in_flight(), held);
    assert_eq!(
        slots.word.load(Relaxed),
        spread_under(LIMIT) + u64::from(held) + in_lanes.len() as u64
    );
    Arc::new(slots)
}

fn visit(slots: &Slots, enter: usize, leave: usize) {
    assert!(slots.enter_by(|| enter, LIMIT), "a slot is free");
    assert!(!slots.leave_by(|| leave).somebody_waits());
}

fn nothing_is_lost(slots: &Slots, held: u32) {
    assert_eq!(slots.in_flight(), held);
    slots.close();
    assert_eq!(slots.word.load(Relaxed), held.into());
}

#[test]
fn two_slots_are_enough_for_two_whatever_lane_they_are_in() {
    for [enter, leave] in [[0, 0], [0, 1], [1, 0]] {
        model(move || {
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
            nothing_is_lost(&slots, 6);
        });
    }
}

#[test]
fn two_slots_are_for_two_of_three() {
    model(|| {
        let slots = spread(6, &[0, 1]);
        let others = [0, 1].map(|lane| {
            let slots = Arc::clone(&slots);
            thread::spawn(move || u32::from(slots.enter_by(|| lane, LIMIT)))
        });
        let mine = u32::from(slots.enter_by(|| 0, LIMIT));
        let all = others.into_iter().map(|other| other.join().unwrap());
        assert_eq!(all.sum::<u32>() + mine, 2);
        nothing_is_lost(&slots, 8);
    });
}

/// The one who leaves uses and opens lanes meanwhile; the waiter is let in, or somebody is told of it.
fn a_waiter_is_not_overlooked(slots: fn() -> Arc<Slots>, lets_spread: bool) {
    model(move || {
        let slots = slots();
        let other = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || {
                let mut told = slots.leave_by(|| 0).somebody_waits();
                if lets_spread {
                    slots.spread_below(LIMIT, LIMIT);
                }
                if slots.enter_by(|| 0, LIMIT) {
                    told |= slots.leave_by(|| 0).somebody_waits();
                }
                told
            })
        };
        let entered = slots.enter_or_mark(LIMIT);
        let told = other.join().unwrap();
        if !entered {
            assert!(told, "somebody waits, and nobody was told");
            assert!(slots.grant(LIMIT, true), "there is a slot for the waiter");
        }
        nothing_is_lost(&slots, 8);
    });
}

#[test]
fn a_slot_is_not_left_in_a_lane_while_somebody_waits() {
    // Full, with one of the eight in an open lane's care.
    a_waiter_is_not_overlooked(
        || {
            let slots = spread(7, &[0]);
            assert!(slots.enter_by(|| 0, LIMIT));
            slots
        },
        false,
    );
}

#[test]
fn lanes_are_not_opened_while_somebody_waits() {
    a_waiter_is_not_overlooked(
        || {
            let slots = Slots::with_lanes(2);
            assert!((0..8).all(|_| slots.enter_by(|| 0, LIMIT)));
            Arc::new(slots)
        },
        true,
    );
}

#[test]
fn a_lower_limit_counts_for_slots_in_lanes() {
    model(|| {
        let slots = spread(6, &[0, 1]);
        let other = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || _ = slots.leave_by(|| 1))
        };
        // Six are in flight, or five: under a limit of five there is room for none.
        assert!(!slots.enter_by(|| 0, 5));
        other.join().unwrap();
        assert!(!slots.enter_by(|| 1, 5));
        nothing_is_lost(&slots, 5);
    });
}
