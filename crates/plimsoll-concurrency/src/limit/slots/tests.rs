//! Slots against a plain count.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn a_slot_given_back_while_somebody_waits_is_not_for_newcomers() {
    let slots = Slots::new();
    assert!(slots.enter(1));
    assert!(!slots.enter_or_mark(1));
    assert!(
        slots.leave().somebody_waits(),
        "the one who leaves is told that somebody waits"
    );
    assert!(
        !slots.enter(1),
        "between the release and the handing-out, too"
    );
    assert!(slots.grant(1, true));
    assert!(!slots.leave().somebody_waits(), "nobody waits any more");
    assert!(slots.is_idle() && slots.enter(1));
}

#[test]
fn more_in_flight_than_a_lowered_limit_is_full() {
    let slots = Slots::new();
    assert!(slots.enter(2) && slots.enter(2));
    assert!(!slots.enter(1) && !slots.enter_or_mark(1));
    assert!(
        slots.leave().somebody_waits() && !slots.grant(1, true),
        "one is still in"
    );
    assert!(slots.leave().somebody_waits() && slots.grant(1, true));
    assert_eq!(slots.in_flight(), 1);
}

#[test]
fn slots_in_lanes_are_taken_there_and_found_from_everywhere() {
    let slots = Slots::with_lanes(2);
    slots.spread_below(32, 32);
    for _ in 0..4 {
        assert!(slots.enter_by(|| 0, 32));
    }
    for _ in 0..4 {
        assert!(!slots.leave_by(|| 0).somebody_waits());
    }
    let word = slots.word.load(SeqCst);
    assert_eq!(word, spread_under(32) + 4, "they stay there");
    assert_eq!(slots.in_flight(), 0);
    assert!(slots.enter_by(|| 0, 32));
    assert_eq!(
        (slots.word.load(SeqCst), slots.in_flight()),
        (word, 1),
        "and come from there"
    );
    // 31 more, three of them from the other's lane.
    assert!((0..31).all(|_| slots.enter_by(|| 1, 32)));
    assert!(!slots.enter_by(|| 0, 32) && !slots.enter_by(|| 1, 32));
    assert_eq!(slots.word.load(SeqCst), 32, "exact, and without the mark");
}

#[derive(Debug, Clone)]
enum Step {
    Enter(usize),
    Leave(usize),
    Limit(u32),
    Spread,
    /// As a request that may wait.
    Wait,
    /// As the last one in the queue, or one before.
    Grant(bool),
    GiveUp,
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_usize..4).prop_map(Step::Enter),
        10 => (0_usize..4).prop_map(Step::Leave),
        1 => (1_u32..100).prop_map(Step::Limit),
        // Those that come back.
        2 => prop_oneof![Just(20), Just(40), Just(80)].prop_map(Step::Limit),
        2 => Just(Step::Spread),
        1 => Just(Step::Wait),
        2 => any::<bool>().prop_map(Step::Grant),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Idle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// One after the other, slots over lanes say what a count and a flag say.
    #[test]
    fn lanes_make_no_difference(
        mut limit in 1_u32..100,
        steps in vec(step(), 1..300),
    ) {
        let slots = Slots::with_lanes(4);
        let (mut inside, mut waits) = (0_u32, false);
        for step in steps {
            match step {
                Step::Enter(lane) => {
                    let free = !waits && inside < limit;
                    prop_assert_eq!(slots.enter_by(|| lane, limit), free);
                    inside += u32::from(free);
                }
                Step::Leave(lane) if inside > 0 => {
                    prop_assert_eq!(slots.leave_by(|| lane).somebody_waits(), waits);
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
                Step::GiveUp if waits => {
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

/// Twelve slots for three threads of four: whatever moves from lane to lane meanwhile, each finds one.
#[test]
fn nobody_is_refused_while_a_slot_is_free() {
    for _ in 0..20 {
        let slots = Slots::with_lanes(2);
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
                            let lane = random.usize(..2);
                            assert!(slots.enter_by(|| lane, 12), "refused");
                            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        }
                        slots.spread_below(12, 12);
                        for _ in 0..wanted {
                            let lane = random.usize(..2);
                            inside.fetch_sub(1, SeqCst);
                            assert!(!slots.leave_by(|| lane).somebody_waits());
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

/// Three threads of five for four slots: some are refused, never are there more inside.
#[test]
fn the_limit_holds_while_lanes_open_and_close() {
    let slots = Slots::with_lanes(2);
    let limit = 8;
    // Four stay in for good.
    assert!((0..4).all(|_| slots.enter(limit)));
    let inside = AtomicUsize::new(4);
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..3_usize {
            let (slots, inside, refused) = (&slots, &inside, &refused);
            scope.spawn(move || {
                for round in 0..50_000 {
                    let mut entered = 0;
                    for _ in 0..=4 {
                        if slots.enter_by(|| thread + round, limit) {
                            assert!(inside.fetch_add(1, SeqCst) < 8);
                            entered += 1;
                        } else {
                            refused.fetch_add(1, SeqCst);
                        }
                    }
                    slots.spread_below(limit, limit);
                    for _ in 0..entered {
                        inside.fetch_sub(1, SeqCst);
                        assert!(!slots.leave_by(|| thread + round).somebody_waits());
                    }
                }
            });
        }
    });
    assert_eq!(slots.in_flight(), 4);
    assert_ne!(refused.into_inner(), 0);
}

/// Free slots that were left in a lane under a limit are not to be had when more have come in under a higher one since.
#[test]
fn a_limit_that_goes_up_and_down_again_counts() {
    let slots = Slots::with_lanes(2);
    slots.spread_below(32, 32);
    assert!(slots.enter_by(|| 0, 32));
    assert!((0..40).all(|_| slots.enter_by(|| 1, 64)));
    assert!(!slots.leave_by(|| 0).somebody_waits());
    assert!(!slots.enter_by(|| 0, 32), "there are forty in");
    assert!(slots.enter_by(|| 0, 64));
}
