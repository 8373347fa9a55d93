//! Settings: bounds, and changes while the log is in use.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use plimsoll_rate_limit::SlidingLog;
use tokio::time::Instant;

use super::{DAY, ask, greedy, wait};
use crate::ms;

fn with_room(limit: u32, room: u32) -> SlidingLog {
    SlidingLog::with_max_limit(limit, ms(1000), room).expect("valid")
}

#[test]
fn invalid_settings_are_rejected_by_field_and_bound() {
    for (limit, period, room, message) in [
        (0, ms(1), 10, "limit must be 1 to 10 units, got 0"),
        (11, ms(1), 10, "limit must be 1 to 10 units, got 11"),
        (
            1,
            ms(1),
            (1 << 20) + 1,
            "max_limit must be 1 to 2^20 units, got 1048577",
        ),
        (0, ms(1), 0, "max_limit must be 1 to 2^20 units, got 0"),
        (
            1,
            Duration::ZERO,
            1,
            "period must be 1 ns to 365 days, got 0ns",
        ),
        (
            1,
            DAY * 365 + Duration::from_nanos(1),
            1,
            "period must be 1 ns to 365 days, got 31536000.000000001s",
        ),
    ] {
        let error = SlidingLog::with_max_limit(limit, period, room).expect_err("invalid");
        assert_eq!(error.to_string(), message);
    }
    assert!(SlidingLog::new(1 << 20, DAY * 365).is_ok());
    assert!(SlidingLog::new(1, Duration::from_nanos(1)).is_ok());

    let handle = with_room(5, 8).handle();
    assert!(handle.set_limit(9, ms(1000)).is_err() && handle.set_limit(5, ms(0)).is_err());
    assert_eq!((handle.limit(), handle.period()), (5, ms(1000)));
    assert_eq!(handle.max_limit(), 8);
}

#[test]
fn a_higher_limit_applies_at_once_and_counts_earlier_units() {
    let log = with_room(3, 8);
    let start = Instant::now();
    assert_eq!(greedy(&log, start), 3);
    log.handle().set_limit(8, ms(1000)).expect("valid");
    assert_eq!(greedy(&log, start + ms(500)), 5);
    assert_eq!(wait(&log, start + ms(600), 1), Some(ms(400)));
    assert_eq!(greedy(&log, start + ms(1000)), 3);
}

#[test]
fn a_lower_limit_applies_until_enough_units_have_left() {
    let log = with_room(8, 8);
    let start = Instant::now();
    for step in 0..8 {
        assert!(ask(&log, start + ms(100 * step), 1).is_ok());
    }
    log.handle().set_limit(3, ms(1000)).expect("valid");
    assert_eq!(log.available(start + ms(700)), 0);
    // The sixth unit, of 500 ms, is the third before the next one.
    assert_eq!(wait(&log, start + ms(700), 1), Some(ms(800)));
    assert!(ask(&log, start + ms(1500), 1).is_ok());
    assert!(ask(&log, start + ms(1500), 1).is_err());
}

#[test]
fn a_longer_period_counts_earlier_units() {
    let log = with_room(4, 4);
    let start = Instant::now();
    assert_eq!(greedy(&log, start), 4);
    log.handle().set_limit(4, ms(5000)).expect("valid");
    assert_eq!(wait(&log, start + ms(1000), 1), Some(ms(4000)));
    log.handle().set_limit(4, ms(10)).expect("valid");
    assert_eq!(greedy(&log, start + ms(1000)), 4);
}

/// Two per hour, or a thousand per day: every rejection has the wait of one of them, and the log
/// holds at most a thousand.
#[test]
fn no_decision_mixes_two_settings() {
    let log = SlidingLog::with_max_limit(2, Duration::from_secs(3600), 1000).expect("valid");
    let handle = log.handle();
    let (now, over) = (Instant::now(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                handle.set_limit(1000, DAY).expect("valid");
                handle
                    .set_limit(2, Duration::from_secs(3600))
                    .expect("valid");
            }
        });
        let got: Vec<_> = (0..50_000).map(|_| ask(&log, now, 1).err()).collect();
        over.store(true, Relaxed);
        let admitted = got.iter().filter(|got| got.is_none()).count();
        assert!(admitted <= 1000, "{admitted}");
        for wait in got.into_iter().flatten() {
            assert!(wait == Some(DAY) || wait == Some(ms(3_600_000)), "{wait:?}");
        }
        handle.set_limit(1000, DAY).expect("valid");
        assert!(admitted + greedy(&log, now) <= 1000);
    });
}
