//! Calls at random, in front of a limit that is always full.

use std::time::Duration;

use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitPermit};
use plimsoll_core::{Class, Outcome, Policy, Verdict, WaitsOn};
use proptest::prelude::*;
use tokio::time::Instant;

use super::X;

/// Ticks in a longest stall.
const TICKS: u32 = 8;

/// A call, and since which tick its caller has read nothing. `None` while the service has its turn.
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

/// Ends a call. Answers whether it gave a slot back.
fn end(limit: &ConcurrencyLimit, call: Call, now: Instant) -> bool {
    let before = limit.handle().in_flight();
    let outcome = Outcome::new(Class::Success, Duration::ZERO, now);
    Policy::<()>::finish(limit, call.permit, &outcome);
    before - limit.handle().in_flight() == 1
}

/// Whether it must have a slot after this number of unread ticks, or cannot have one; `None` in between.
fn has_slot(call: &Call, tick: u32) -> Option<bool> {
    match call.unread_since.map(|since| tick - since) {
        None | Some(0..TICKS) => Some(true),
        // Closed a quarter later, and looked at a tick after that.
        Some(ticks) if ticks > TICKS + TICKS / 4 + 1 => Some(false),
        Some(_) => None,
    }
}

proptest! {
    #[test]
    fn law_03_who_reads_keeps_its_slot_and_who_stops_has_none_after_a_stall_and_a_quarter(
        steps in steps(),
        slots in 1..5_usize,
    ) {
        let limit = ConcurrencyLimit::new(slots).unwrap();
        let handle = limit.handle();
        let start = Instant::now();
        let at = |tick: u32| start + X / TICKS * tick;
        let (mut calls, mut begun, mut given_back) = (Vec::<Call>::new(), 0, 0);
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
                            Some(false) => {} // it goes on without
                            // It was in time or not: end it, and count what it gave back.
                            None => {
                                let call = calls.swap_remove(of);
                                given_back += usize::from(end(&limit, call, at(tick)));
                            }
                        }
                    }
                    Step::Ends => {
                        let call = calls.swap_remove(of);
                        let expected = has_slot(&call, tick);
                        let released = end(&limit, call, at(tick));
                        prop_assert!(expected.is_none_or(|has| has == released));
                        given_back += usize::from(released);
                    }
                }
            }
            // Until it is full: so it is known when time began to count.
            while let Verdict::Admit(mut permit) = limit.admit(&mut (), at(tick)) {
                Policy::<()>::body_waits(&limit, &mut permit, WaitsOn::Caller);
                calls.push(Call { permit, unread_since: Some(tick) });
                begun += 1;
            }
            prop_assert_eq!(handle.in_flight(), slots);
            prop_assert_eq!(begun - given_back - handle.stalled() as usize, slots);
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
