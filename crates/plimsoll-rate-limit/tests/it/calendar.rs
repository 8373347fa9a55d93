//! Calendar windows, whose edges follow the wall clock.

use std::time::Duration;

use plimsoll_core::{Missing, Policy, policy::Verdict};
use plimsoll_rate_limit::{CalendarUnit, Quota, RateLimit};
use tokio::time::{Instant, advance};

use crate::{ask, greedy, limit};

/// 2026-11-28T21:30:00Z, a Saturday, in seconds since 1970.
const SATURDAY: u64 = 1_795_901_400;
const HOUR: u64 = 3600;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A limit, and a time on that Saturday evening.
fn on_saturday(quota: Quota) -> (RateLimit, Instant) {
    let limit = limit(quota);
    let now = Instant::now();
    limit.handle().set_wall_clock(now, secs(SATURDAY));
    (limit, now)
}

#[test]
fn a_count_starts_again_at_calendar_edges() {
    for (quota, ends_in) in [
        (Quota::per_calendar_hour(3), HOUR / 2),
        (Quota::per_calendar_day(3), 2 * HOUR + HOUR / 2),
        (Quota::per_calendar_week(3), 26 * HOUR + HOUR / 2),
        // It is 03:00 on Sunday in India, and 13:30 on Saturday in California.
        (
            Quota::per_calendar_day(3).utc_offset_minutes(330),
            21 * HOUR,
        ),
        (Quota::per_calendar_hour(3).utc_offset_minutes(330), HOUR),
        (
            Quota::per_calendar_week(3).utc_offset_minutes(-480),
            34 * HOUR + HOUR / 2,
        ),
    ] {
        let (limit, start) = on_saturday(quota);
        assert_eq!(greedy(&limit, start), 3);
        assert_eq!(ask(&limit, start).expect_err("spent"), secs(ends_in));
        let end = start + secs(ends_in);
        assert!(ask(&limit, end - Duration::from_nanos(1)).is_err());
        assert_eq!(greedy(&limit, end), 3, "{quota:?}");
        let next = end + quota.period();
        assert!(ask(&limit, next - Duration::from_nanos(1)).is_err());
        assert_eq!(greedy(&limit, next), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_moves_the_calendar() {
    let key = |tenant: &u8| Some(*tenant);
    let quota = Quota::per_calendar_day(1);
    let limit = RateLimit::new(quota)
        .expect("valid")
        .per_key(key, Missing::Share, 10)
        .expect("valid");
    let handle = limit.handle().limit();
    handle.set_wall_clock(Instant::now(), secs(SATURDAY));
    let admits =
        |mut tenant: u8| matches!(limit.admit(&mut tenant, Instant::now()), Verdict::Admit(_));
    assert!(admits(1) && !admits(1) && admits(2));
    advance(Duration::from_millis((2 * HOUR + HOUR / 2) * 1000 - 1)).await;
    assert!(!admits(1) && !admits(2));
    advance(Duration::from_millis(1)).await;
    assert!(admits(1) && admits(2));
}

/// Without a call of `set_wall_clock`, the limit uses the machine's clock.
#[test]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
fn the_wall_clock_is_read_when_the_limit_is_made() {
    let unix = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("after 1970").as_secs_f64()
    };
    let before = unix();
    let limit = limit(Quota::per_calendar_week(1));
    let now = Instant::now();
    let after = unix();
    assert_eq!(greedy(&limit, now), 1);
    let wait = ask(&limit, now).expect_err("spent").as_secs_f64();
    let week = 7.0 * 86_400.0;
    // Half a minute for a busy machine.
    let off = (before + wait + 3.0 * 86_400.0).rem_euclid(week);
    let off = off.min(week - off);
    assert!(off <= after - before + 30.0, "{off}");
}

#[test]
fn setting_the_wall_clock_frees_no_units() {
    let (limit, start) = on_saturday(Quota::per_calendar_day(5));
    let handle = limit.handle();
    assert_eq!(greedy(&limit, start), 5);
    for (wall, ends_in) in [
        (SATURDAY + 60, 149 * 60),
        // Sunday, and back.
        (SATURDAY + 3 * HOUR, 23 * HOUR + HOUR / 2),
        (SATURDAY, 150 * 60),
    ] {
        handle.set_wall_clock(start, secs(wall));
        assert_eq!(ask(&limit, start).expect_err("spent"), secs(ends_in));
    }
    assert_eq!(greedy(&limit, start + secs(150 * 60)), 5);
}

#[test]
fn a_calendar_window_can_be_set_and_read() {
    let start = Instant::now();
    let limit = limit(Quota::per_second(10));
    let handle = limit.handle();
    assert_eq!(greedy(&limit, start), 10);
    let daily = Quota::per_calendar_day(25).utc_offset_minutes(-90);
    handle.set_quota(daily).expect("valid");
    assert_eq!(handle.quota(), daily);
    assert_eq!(greedy(&limit, start), 15, "ten have been taken");
    assert_eq!(daily.calendar_unit(), Some(CalendarUnit::Day));
    assert_eq!(daily.offset_minutes(), -90);
    assert_eq!(daily.calendar_phase(), Some(secs(22 * HOUR + HOUR / 2)));
    assert_eq!(Quota::per_day(1).calendar_phase(), None);
}

#[test]
fn invalid_calendars_are_rejected_by_field_and_bound() {
    for (quota, expected) in [
        (
            Quota::per_calendar_day(1).utc_offset_minutes(1440),
            "utc_offset_minutes must be -1439 to 1439, got 1440",
        ),
        (
            Quota::per_calendar_day(1).utc_offset_minutes(i32::MIN),
            "must be -1439 to 1439",
        ),
        (
            Quota::per_day(1).utc_offset_minutes(60),
            "only a calendar window has an offset",
        ),
        (Quota::per_calendar_hour(0), "count must be at least 1"),
        (
            Quota::per_calendar_hour(1).burst(1),
            "burst must not be set for a window",
        ),
    ] {
        let error = RateLimit::new(quota).expect_err("invalid").to_string();
        assert!(error.contains(expected), "{quota:?}: {error}");
        assert!(quota.check().is_err());
    }
    assert!(
        Quota::per_calendar_day(1)
            .utc_offset_minutes(-1439)
            .check()
            .is_ok()
    );
}
