//! The exact sliding window.

mod contract;
mod live;
mod model;
mod wire;

use std::{thread, time::Duration};

use plimsoll_core::{Class, Kind, Missing, Outcome, Policy, policy::Verdict};
use plimsoll_rate_limit::{RequestCost, SlidingLog, SlidingLogPermit};
use tokio::time::Instant;

use crate::ms;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A request is its own cost.
type Units = u32;

fn log(limit: u32, period: Duration) -> SlidingLog<impl RequestCost<Units>> {
    SlidingLog::new(limit, period)
        .expect("valid")
        .cost(|units: &Units| *units)
}

/// The permit, or the wait; `None` for never.
fn ask<P: Policy<Units>>(
    log: &P,
    now: Instant,
    mut units: Units,
) -> Result<P::Permit, Option<Duration>> {
    match log.admit(&mut units, now) {
        Verdict::Admit(permit) => Ok(permit),
        Verdict::Reject(rejection) => {
            assert_eq!(
                (rejection.policy(), rejection.kind()),
                (SlidingLog::NAME, Kind::OverQuota)
            );
            Err(rejection.retry_after())
        }
        Verdict::Wait(_) => unreachable!("it decides at once"),
    }
}

fn wait<P: Policy<Units>>(log: &P, now: Instant, units: Units) -> Option<Duration> {
    ask(log, now, units).err().expect("over the limit")
}

fn greedy<P: Policy<Units>>(log: &P, now: Instant) -> usize {
    let mut admitted = 0;
    while ask(log, now, 1).is_ok() {
        admitted += 1;
        assert!(admitted < 1 << 21, "no limit");
    }
    admitted
}

fn revoke<C: RequestCost<Units>>(log: &SlidingLog<C>, permit: SlidingLogPermit) {
    let now = Instant::now();
    Policy::<Units>::revoke(log, permit, now, now);
}

#[test]
fn no_window_of_a_greedy_caller_holds_more_than_the_limit() {
    // The worst case of a fixed window, the steady state of a greedy caller, and bursts at odd
    // distances.
    for pauses in [[1, 1, 1], [0, 999, 1], [999, 1, 0], [72, 500, 613]] {
        let log = log(100, ms(1000));
        let start = Instant::now();
        let (mut at, mut taken) = (0, Vec::new());
        for pause in pauses.into_iter().cycle().take(3000) {
            at += pause;
            taken.extend((0..greedy(&log, start + ms(at))).map(|_| at));
        }
        let worst = (0..taken.len())
            .map(|first| taken.partition_point(|at| *at < taken[first] + 1000) - first)
            .max();
        assert_eq!(worst, Some(100), "{pauses:?}");
    }
}

#[test]
fn bursts_of_120_every_72_seconds_get_100_each() {
    let log = log(100, Duration::from_secs(60));
    let start = Instant::now();
    for burst in 0..20 {
        let now = start + Duration::from_secs(72) * burst;
        let admitted = (0..120).filter(|_| ask(&log, now, 1).is_ok()).count();
        assert_eq!(admitted, 100, "burst {burst}");
    }
}

#[test]
fn the_window_is_half_open_and_the_wait_exact_to_the_nanosecond() {
    let log = log(2, ms(1000));
    let start = Instant::now();
    assert!(ask(&log, start, 1).is_ok() && ask(&log, start + ms(300), 1).is_ok());
    assert_eq!(wait(&log, start + ms(400), 1), Some(ms(600)));
    let nanosecond = Duration::from_nanos(1);
    let almost = start + ms(1000) - nanosecond;
    assert_eq!(wait(&log, almost, 1), Some(nanosecond));
    assert!(ask(&log, start + ms(1000), 1).is_ok());
    assert_eq!(wait(&log, start + ms(1000), 1), Some(ms(300)));
}

#[test]
fn a_request_takes_all_of_its_units_or_none() {
    let log = log(10, ms(1000));
    let start = Instant::now();
    assert!(ask(&log, start, 4).is_ok() && ask(&log, start + ms(100), 4).is_ok());
    // Three fit when the first four have left the window, seven when all have.
    assert_eq!(wait(&log, start + ms(200), 3), Some(ms(800)));
    assert_eq!(wait(&log, start + ms(200), 7), Some(ms(900)));
    assert_eq!(log.available(start + ms(200)), 2);
    assert!(ask(&log, start + ms(200), 2).is_ok());
    assert_eq!(wait(&log, start + ms(200), 10), Some(ms(1000)));
    assert!(ask(&log, start + ms(1200), 10).is_ok());
}

#[test]
fn a_cost_of_0_is_always_admitted_and_one_above_the_limit_never() {
    let log = log(10, ms(1000));
    let now = Instant::now();
    assert_eq!(wait(&log, now, 11), None);
    assert_eq!(wait(&log, now + DAY, u32::MAX), None);
    assert_eq!(greedy(&log, now), 10);
    let free = ask(&log, now, 0).expect("it costs nothing");
    revoke(&log, free);
    assert_eq!(log.available(now), 0);
    assert_eq!(log.handle().rejected(), 3);
}

#[test]
fn revoked_units_are_refunded_exactly_in_any_order() {
    let log = log(5, ms(1000));
    let start = Instant::now();
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let permits: Vec<_> = (0..5)
            .map(|n| ask(&log, start + ms(n), 1).expect("room"))
            .collect();
        let mut left = [true; 5];
        for (gone, at) in order.into_iter().enumerate() {
            assert_eq!(log.available(start + ms(5)), gone as u64, "{order:?}");
            revoke(&log, permits[at]);
            left[at] = false;
            // Each remaining unit leaves the window at its own time.
            for n in 0..5 {
                let later = (n + 1..5).filter(|n| left[*n]).count() as u64;
                assert_eq!(log.available(start + ms(1000 + n as u64)), 5 - later);
            }
        }
    }
}

#[test]
fn units_revoked_after_they_left_the_window_change_nothing() {
    let log = log(3, ms(1000));
    let start = Instant::now();
    let early = ask(&log, start, 2).expect("room");
    let later = start + ms(1000);
    assert_eq!(greedy(&log, later), 3);
    revoke(&log, early);
    assert_eq!(log.available(later), 0);
    assert_eq!(wait(&log, later, 1), Some(ms(1000)));
}

#[test]
fn a_clock_may_stand_still_jump_and_go_backwards() {
    let log = log(7, ms(1000));
    let start = Instant::now();
    assert_eq!(greedy(&log, start), 7);
    assert_eq!((0..1000).filter(|_| ask(&log, start, 1).is_ok()).count(), 0);
    for jump in [DAY, DAY * 365, DAY * 365 * 34] {
        assert_eq!(greedy(&log, start + jump), 7, "after {jump:?}");
        for back in [ms(1), ms(1000), DAY] {
            assert_eq!(greedy(&log, start + jump - back), 0, "{back:?} back");
        }
        assert_eq!(greedy(&log, start + jump + ms(999)), 0, "nor later");
    }
    // After 35 years the clock of the limit has stopped.
    assert_eq!(greedy(&log, start + DAY * 365 * 100), 7);
    assert_eq!(greedy(&log, start + DAY * 365 * 200), 0);
}

#[test]
fn threads_together_get_exactly_the_limit() {
    for _ in 0..10 {
        let log = log(1000, DAY);
        let now = Instant::now();
        let kept: usize = thread::scope(|scope| {
            let threads = [0, 1, 2].map(|n| {
                let log = &log;
                scope.spawn(move || {
                    let mut kept = 0;
                    // Every third unit is revoked at once, every third later.
                    let mut later = Vec::new();
                    for step in 0..1500_u32 {
                        let now = now + Duration::from_nanos(u64::from(step * 3 + n));
                        match (ask(log, now, 1), step % 3) {
                            (Ok(permit), 0) => revoke(log, permit),
                            (Ok(permit), 1) => later.push(permit),
                            (Ok(_), _) => kept += 1,
                            (Err(_), _) => {}
                        }
                    }
                    for permit in later {
                        revoke(log, permit);
                    }
                    kept
                })
            });
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        let after = now + ms(1);
        assert_eq!(log.available(after), 1000 - kept as u64);
        assert_eq!(greedy(&log, after), 1000 - kept);
    }
}

#[test]
fn each_key_has_its_own_log_and_keeps_its_debt() {
    let limit = log(3, Duration::from_secs(3600));
    let handle = limit.handle();
    let keyed = SlidingLog::new(3, Duration::from_secs(3600))
        .expect("valid")
        .per_key(|key: &Units| Some(*key), Missing::Share, 512)
        .expect("a capacity");
    let now = Instant::now();
    let spend = |key, now| {
        let outcome = Outcome::new(Class::Success, Duration::ZERO, now);
        ask(&keyed, now, key).map(|permit| Policy::<Units>::finish(&keyed, permit, &outcome))
    };
    for key in 0..300 {
        let admitted = (0..5).filter(|_| spend(key, now).is_ok()).count();
        assert!(admitted <= 3, "key {key}");
    }
    for key in 300..5000 {
        _ = spend(key, now);
    }
    let again = (0..300).filter(|key| spend(*key, now).is_ok());
    assert_eq!(again.count(), 0);
    assert_eq!(keyed.handle().evicted(), 0);
    assert_eq!(handle.rejected(), 0, "another limit");
    assert!(keyed.handle().unused_cell().handle().rejected() > 600);

    let later = now + Duration::from_secs(3600);
    assert!(spend(30_000, later).is_ok(), "there is room again");
    // Slots of known keys are kept for another five minutes.
    assert!(spend(30_000, later + Duration::from_secs(300)).is_ok());
    assert_eq!(keyed.handle().evicted(), 1);
}

#[test]
fn a_reset_log_is_empty() {
    let log = log(1, DAY);
    let now = Instant::now();
    assert!(ask(&log, now, 1).is_ok());
    assert_eq!(wait(&log, now, 1), Some(DAY));
    plimsoll_core::policy::Evictable::reset(&log);
    assert!(ask(&log, now, 1).is_ok());
}
