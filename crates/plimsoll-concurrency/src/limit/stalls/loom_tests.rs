//! A permit that makes progress, or ends, while its generation is closed and expires.

use loom::{sync::Arc, thread};

use super::*;

const LONGEST: u64 = 100;

/// Checks every interleaving with up to three preemptions.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn expire(stalls: &Stalls) -> u32 {
    stalls.reclaim(1, LONGEST) + stalls.reclaim(1 + LONGEST, LONGEST)
}

#[test]
fn a_call_that_ends_as_its_epoch_is_closed_and_expires_releases_its_slot_once() {
    loom::model(|| {
        let stalls = Arc::new(Stalls::new());
        let stamp = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
        let expiring = Arc::clone(&stalls);
        let expirer = thread::spawn(move || expire(&expiring));
        let held = stalls.end(stamp, || false);
        assert_eq!(u32::from(held) + expirer.join().unwrap(), 1);
    });
}

#[test]
fn a_call_that_makes_progress_as_its_epoch_expires_keeps_or_loses_its_slot() {
    check(|| {
        let stalls = Arc::new(Stalls::new());
        let stamp = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
        let expiring = Arc::clone(&stalls);
        let expirer = thread::spawn(move || {
            let taken = expire(&expiring);
            taken + expiring.reclaim(1 + 3 * LONGEST, LONGEST)
        });
        let stamp = stalls.body_waits(stamp, WaitsOn::Caller);
        let stamp = stalls.body_waits(stamp, WaitsOn::Service);
        let held = stalls.end(stamp, || false);
        assert_eq!(u32::from(held) + expirer.join().unwrap(), 1);
    });
}

#[test]
fn two_calls_that_end_together_are_both_counted_out() {
    check(|| {
        let stalls = Arc::new(Stalls::new());
        let enders = [(); 2].map(|()| {
            let stalls = Arc::clone(&stalls);
            thread::spawn(move || {
                let stamp = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
                u32::from(stalls.end(stamp, || false))
            })
        });
        let mut released = expire(&stalls);
        for ender in enders {
            released += ender.join().unwrap();
        }
        assert_eq!(released, 2);
        assert_eq!(stalls.reclaim(9 * LONGEST, LONGEST), 0);
        assert_eq!(stalls.reclaim(19 * LONGEST, LONGEST), 0);
    });
}

#[test]
fn a_permit_in_a_shard_is_closed_with_the_others() {
    check(|| {
        let stalls = Arc::new(Stalls::new());
        let own = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
        let spreading = Arc::clone(&stalls);
        let spreader = thread::spawn(move || {
            spreading.spread(2);
            let stamp = spreading.count_progress(Stamp::NONE, || 1);
            u32::from(spreading.end(stamp, || false))
        });
        let mut released = expire(&stalls);
        released += u32::from(stalls.end(own, || false));
        released += spreader.join().unwrap();
        assert_eq!(released, 2);
        assert_eq!(stalls.reclaim(9 * LONGEST, LONGEST), 0);
        assert_eq!(stalls.reclaim(19 * LONGEST, LONGEST), 0);
    });
}
