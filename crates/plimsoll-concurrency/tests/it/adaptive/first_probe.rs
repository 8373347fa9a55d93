//! Where the first probe begins, and how much of a deadline is reserve: windows made by hand.

use std::time::Duration;

use plimsoll_concurrency::{Adaptive, Algorithm as _, Change, LimitReason, Window};

use crate::published;

const MS: Duration = Duration::from_millis(1);

/// A window in which as many are in flight as the limit allows, and requests find no slot. By
/// Little's law each held a slot for `held`, and those that were answered took `latency`.
fn full(limit: u32, answered: u64, held: Duration, latency: Duration) -> Window {
    let began = tokio::time::Instant::now();
    Window {
        began,
        ended: began + held.mul_f64(answered as f64 / f64::from(limit)),
        answered,
        latency,
        deviation: latency / 10,
        max_in_flight: limit,
        mean_in_flight: limit.into(),
        without_slot: 10 * answered,
        rejected: 9 * answered,
        limit,
        ..published::window(1, 1)
    }
}

/// A first load in windows of 10 and 40 slots, which add throughput, and of 160 in which calls wait:
/// 700 a second, at 70 at a time.
///
/// The calls that end in the first windows take `seen`; slots are held for 100 ms.
fn first_probe(seen: Duration) -> Change {
    let mut adaptive = Adaptive::new();
    for limit in [10, 40] {
        let change = adaptive.update(&full(limit, 2 * u64::from(limit), 100 * MS, seen));
        assert_eq!(change.reason, LimitReason::Growth);
    }
    let held = (100 * MS).mul_f64(160.0 / 70.0);
    adaptive.update(&full(160, 400, held, held))
}

#[test]
fn the_first_probe_begins_where_slots_were_held_for_as_long_as_without_queueing() {
    let all_seen = first_probe(100 * MS);
    assert_eq!((all_seen.limit, all_seen.reason), (52, LimitReason::Probe));
    // The calls that ended were the short ones: a probe at their latency would stop most workers.
    let short_seen = first_probe(40 * MS);
    assert_eq!(short_seen.reason, LimitReason::Probe);
    assert!((48..=52).contains(&short_seen.limit), "{short_seen:?}");
}

#[test]
fn calls_that_took_longer_while_every_request_found_a_slot_raise_the_first_probe() {
    let mut adaptive = Adaptive::new();
    adaptive.update(&full(10, 16, 30 * MS, 30 * MS));
    // 500 a second, and 25 of 40 slots in use: the first calls to end were short by chance.
    let idle = Window {
        without_slot: 0,
        rejected: 0,
        max_in_flight: 30,
        mean_in_flight: 25.0,
        ..full(25, 2_000, 50 * MS, 50 * MS)
    };
    for _ in 0..3 {
        let change = adaptive.update(&Window { limit: 40, ..idle });
        assert_eq!(change.reason, LimitReason::Idle);
    }
    let burst = full(40, 400, 80 * MS, 80 * MS);
    let mut change = adaptive.update(&burst);
    for _ in 0..3 {
        if change.reason == LimitReason::Probe {
            break;
        }
        let limit = change.limit;
        change = adaptive.update(&full(limit, 400, MS * 2 * limit, MS * 2 * limit));
    }
    assert_eq!(change.reason, LimitReason::Probe, "{change:?}");
    // 500 a second of 50 ms, and not of 30.
    assert!((18..=25).contains(&change.limit), "{change:?}");
}

#[test]
fn where_calls_vary_more_of_a_deadline_is_reserve() {
    let limit = |deviation: Duration| {
        let mut adaptive = Adaptive::new();
        let mut limit = 10;
        let mut limits = Vec::new();
        // 50 workers of 20 ms, and deadlines of 40 ms.
        for _ in 0..300 {
            let held = (20 * MS).mul_f64((f64::from(limit) / 50.0).max(1.0));
            let window = Window {
                deviation,
                deadline_left: Some(40 * MS),
                ..full(limit, 8 * u64::from(limit), held, held)
            };
            limit = adaptive.update(&window).limit;
            limits.push(limit);
        }
        *limits[100..].iter().max().expect("there are 200")
    };
    let (alike, varying) = (limit(MS), limit(20 * MS));
    // 2,500 a second: 70 are answered within 0.7 of 40 ms, and 56, the least, within less.
    assert!((66..=70).contains(&alike), "{alike}");
    assert_eq!(varying, 56);
}

/// A first load and its first probe, at 52: 640 calls a second, after `drained` a second while the
/// limit fell. Returns whether the limit rises then, since the latency is taken for that of no load.
fn ends_at_first_probe(adaptive: &mut Adaptive, drained: u64) -> bool {
    for limit in [10, 40] {
        adaptive.update(&full(limit, 2 * u64::from(limit), 100 * MS, 100 * MS));
    }
    // The calls that had just begun could not end: 700 a second.
    let held = (100 * MS).mul_f64(160.0 / 70.0);
    let probe = adaptive.update(&full(160, 400, held, held)).limit;
    let busy = Window {
        mean_in_flight: 100.0,
        max_in_flight: 160,
        ..full(probe, 0, held, held)
    };
    adaptive.update(&Window {
        ended: busy.began + 500 * MS,
        answered: drained / 2,
        ..busy
    });
    for _ in 0..10 {
        let limit = adaptive.update(&at(probe, 640, busy.ended)).limit;
        if limit != probe {
            return limit > probe;
        }
    }
    unreachable!("a probe ends");
}

/// A second under this limit, from `began` on, with this many answers.
fn at(limit: u32, answered: u64, began: tokio::time::Instant) -> Window {
    let held = Duration::from_secs_f64(f64::from(limit) / answered as f64);
    Window {
        began,
        ended: began + 1000 * MS,
        ..full(limit, answered, held, held)
    }
}

#[test]
fn a_first_probe_is_compared_with_what_was_done_while_its_limit_fell() {
    // 640 of 700 a second: calls wait for each other, and the next probe is lower.
    assert!(!ends_at_first_probe(&mut Adaptive::new(), 700));
    // 640 of 840 a second: the latency is that of no load.
    assert!(ends_at_first_probe(&mut Adaptive::new(), 840));
}

#[test]
fn a_probe_that_was_as_fast_as_the_service_is_later_known_to_be_is_repeated_early() {
    // Seconds until the next probe, when the service does this many calls a second.
    let next_probe = |capacity: u64| {
        let mut adaptive = Adaptive::new();
        assert!(ends_at_first_probe(&mut adaptive, 840));
        let mut began = tokio::time::Instant::now() + 1000 * MS;
        let mut limit = 78;
        for second in 0..1_000 {
            let window = at(limit, capacity, began);
            began = window.ended;
            let change = adaptive.update(&window);
            limit = change.limit;
            if second > 0 && change.reason == LimitReason::Probe {
                return second;
            }
        }
        unreachable!("a probe is due at some time");
    };
    let (right, wrong) = (next_probe(840), next_probe(660));
    assert!(2 * wrong < right, "{wrong} of {right} s");
}
