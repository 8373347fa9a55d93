//! Random calls, in front of a limit that is always full.

use std::time::Duration;

use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitPermit};
use plimsoll_core::{
    Class, Outcome, Policy,
    policy::{Verdict, WaitsOn},
};
use proptest::prelude::*;
use tokio::time::Instant;

use super::X;

/// Ticks per longest stall.
const TICKS: u32 = 8;

/// A call, and the tick since which its caller has not read; `None` while its body waits for the
/// service.
struct Call {
    permit: ConcurrencyLimitPermit,
    unread_since: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Reads,
    Idles,
    Ends,
}

fn steps() -> impl Strategy<Value = Vec<Vec<(usize, Step)>>> {
    let step = prop_oneof![Just(Step::Reads), Just(Step::Idles), Just(Step::Ends)];
    let tick = proptest::collection::vec((any::<usize>(), step), 0..3);
    proptest::collection::vec(tick, 1..80)
}

/// Ends a call. Returns whether it released a slot.
fn end(limit: &ConcurrencyLimit, call: Call, now: Instant) -> bool {
    let before = limit.handle().in_flight();
    let outcome = Outcome::new(Class::Success, Duration::ZERO, now);
    Policy::<()>::finish(limit, call.permit, &outcome);
    before - limit.handle().in_flight() == 1
}

/// Whether the call must have a slot after this many unread ticks, or cannot have one; `None` in
/// between.
fn has_slot(call: &Call, tick: u32) -> Option<bool> {
    match call.unread_since.map(|since| tick - since) {
        None | Some(0..TICKS) => Some(true),
        // Its epoch is closed up to a quarter later, and checked one tick after that.
        Some(ticks) if ticks > TICKS + TICKS / 4 + 1 => Some(false),
        Some(_) => None,
    }
}

proptest! {
    #[test]
    fn law_03_a_reading_caller_keeps_its_slot_and_a_stalled_one_loses_it_within_1_25_stalls(
        steps in steps(),
        slots in 1..5_usize,
    ) {
        let limit = ConcurrencyLimit::new(slots).unwrap();
        let handle = limit.handle();
        let start = Instant::now();
        let at = |tick: u32| start + X / TICKS * tick;
        let (mut calls, mut begun, mut released_slots) = (Vec::<Call>::new(), 0, 0);
        let mut last = 0;
        for (tick, steps) in (1..).zip(steps) {
            for (any, step) in steps {
                if calls.is_empty() {
                    continue;
                }
                let of = any % calls.len();
                match step {
                    Step::Reads | Step::Idles => {
                        let call = &mut calls[of];
                        let (on, since) = match step {
                            Step::Reads => (WaitsOn::Caller, Some(tick)),
                            _ => (WaitsOn::Service, None),
                        };
                        let had = has_slot(call, tick);
                        Policy::<()>::body_waits(&limit, &mut call.permit, on);
                        match had {
                            Some(true) => call.unread_since = since,
                            Some(false) => {} // it continues without a slot
                            // Undefined whether it was in time: end it, and count what it released.
                            None => {
                                let call = calls.swap_remove(of);
                                released_slots += usize::from(end(&limit, call, at(tick)));
                            }
                        }
                    }
                    Step::Ends => {
                        let call = calls.swap_remove(of);
                        let expected = has_slot(&call, tick);
                        let released = end(&limit, call, at(tick));
                        prop_assert!(expected.is_none_or(|has| has == released));
                        released_slots += usize::from(released);
                    }
                }
            }
            // Fill the limit, so that it is known when the time starts.
            while let Verdict::Admit(mut permit) = limit.admit(&mut (), at(tick)) {
                Policy::<()>::body_waits(&limit, &mut permit, WaitsOn::Caller);
                calls.push(Call { permit, unread_since: Some(tick) });
                begun += 1;
            }
            prop_assert_eq!(handle.in_flight(), slots);
            prop_assert_eq!(begun - released_slots - handle.stalled() as usize, slots);
            last = tick;
        }
        for call in calls {
            let expected = has_slot(&call, last);
            let released = end(&limit, call, at(last));
            prop_assert!(expected.is_none_or(|has| has == released));
        }
        prop_assert_eq!(handle.in_flight(), 0);
    }
}
