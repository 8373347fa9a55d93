//! Invalid settings, and their error messages.

use std::time::Duration;

use plimsoll_core::Missing;
use plimsoll_rate_limit::{Quota, RateLimit, WarmUp};

use crate::limit;

fn message(quota: Quota) -> String {
    RateLimit::new(quota)
        .expect_err("an invalid quota")
        .to_string()
}

#[test]
fn invalid_quotas_are_rejected_by_field_and_bound() {
    let year = Quota::MAX_PERIOD;
    for (quota, expected) in [
        (
            Quota::per_second(0),
            "count must be at least 1 request, got 0",
        ),
        (
            Quota::per_second(1).burst(0),
            "burst must be at least 1 request, got 0",
        ),
        (
            Quota::new(1, Duration::ZERO),
            "period must be 1 ns to 31536000s, got 0ns",
        ),
        (Quota::new(1, Duration::MAX), "must be 1 ns to 31536000s"),
        (
            Quota::new(1, year + Duration::from_nanos(1)),
            "must be 1 ns to 31536000s",
        ),
        (
            Quota::new(1001, Duration::from_micros(1)),
            "count must be at most 1 request per nanosecond, got 1001 per 1µs",
        ),
        (
            Quota::new(1, year).burst(2),
            "burst must be refilled within 31536000s, got 2 at one request per 31536000s",
        ),
        (
            Quota::per_hour(1).burst(u32::MAX),
            "must be refilled within 31536000s",
        ),
    ] {
        let error = message(quota);
        assert!(error.contains(expected), "{quota:?}: {error}");
    }
}

#[test]
fn law_09_a_limit_without_quotas_is_rejected() {
    let error = RateLimit::all([]).expect_err("it would admit every request");
    assert_eq!(
        error.to_string(),
        "number of quotas must be at least 1, got 0"
    );
}

#[test]
fn bounds_are_inclusive() {
    for quota in [
        Quota::new(1, Quota::MAX_PERIOD),
        Quota::new(3, Quota::MAX_PERIOD),
        Quota::new(1, Duration::from_nanos(1)).burst(u32::MAX),
        Quota::new(u32::MAX, Duration::from_secs(5)),
        Quota::new(1000, Duration::from_micros(1)),
    ] {
        assert_eq!(limit(quota).handle().quota(), quota);
    }
}

#[test]
fn invalid_windows_are_rejected() {
    for (quota, expected) in [
        (
            Quota::per_second((1 << 20) + 1).sliding_window(),
            "count must be at most 1048576 in a window of this kind, got 1048577",
        ),
        (
            Quota::per_second((1 << 30) + 1).fixed_window(),
            "must be at most 1073741824",
        ),
        (
            Quota::per_second(10).burst(5).fixed_window(),
            "burst must not be set for a window: its whole count may arrive at once",
        ),
        (
            Quota::per_second(0).fixed_window(),
            "count must be at least 1 request, got 0",
        ),
    ] {
        let error = message(quota);
        assert!(error.contains(expected), "{quota:?}: {error}");
    }
    for quota in [
        Quota::per_second(1 << 20).sliding_window(),
        Quota::per_second(1 << 30).fixed_window(),
    ] {
        assert_eq!(limit(quota).handle().quota(), quota);
    }
}

#[test]
fn invalid_names_are_rejected() {
    let named = |name| Quota::per_second(1).named(name);
    let quota = limit(named("per-user")).handle().quota();
    assert_eq!(quota.name(), Some("per-user"));
    for name in ["", "say \"hello\"", "back\\slash", "new\nline", "größe"] {
        let error = message(named(name));
        assert!(
            error.contains("must be 1 to 64 printable ASCII characters"),
            "{error}"
        );
    }
}

#[test]
fn invalid_warm_ups_are_rejected() {
    let warm = |cold, over| {
        let warm_up = WarmUp::new(cold, over);
        let made = limit(Quota::per_second(1)).warm_up(warm_up);
        made.expect_err("no warm-up").to_string()
    };
    let second = Duration::from_secs(1);
    assert_eq!(warm(0, second), "cold must be 1 to 1000, got 0");
    assert_eq!(warm(1001, second), "cold must be 1 to 1000, got 1001");
    assert_eq!(
        warm(3, Duration::ZERO),
        "over must be 1 ns to 31536000s, got 0ns"
    );
    let window = limit(Quota::per_second(9).fixed_window()).warm_up(WarmUp::new(3, second));
    assert!(window.is_err());
    let key: fn(&()) -> Option<u32> = |()| Some(1);
    let warms = limit(Quota::per_second(9)).warm_up(WarmUp::new(3, second));
    let keyed = warms.expect("valid").per_key(key, Missing::Admit, 10);
    assert!(keyed.is_err(), "a service warms up, a key does not");
}

#[test]
fn limits_per_key_reject_invalid_capacities() {
    let key: fn(&()) -> Option<u32> = |()| Some(1);
    let error = limit(Quota::per_second(1))
        .per_key(key, Missing::Admit, 0)
        .expect_err("no capacity")
        .to_string();
    assert_eq!(error, "capacity must be 1 to 2^28 keys, got 0");
}

#[test]
fn limits_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<RateLimit>();
    check::<plimsoll_rate_limit::RateLimitPermit>();
    check::<plimsoll_rate_limit::RateLimitHandle>();
    check::<plimsoll_rate_limit::RateLimitLayer>();
}

#[test]
fn a_handle_sees_settings_that_are_set_later() {
    let limit = limit(Quota::per_second(9));
    let handle = limit.handle();
    let warm_up = WarmUp::new(3, Duration::from_secs(1));
    assert_eq!(handle.set_warm_up(warm_up), Ok(false));
    let _warms = limit.warm_up(warm_up).expect("valid");
    assert_eq!(handle.set_warm_up(warm_up), Ok(true));
}

#[test]
fn a_period_is_an_hour_or_a_day() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let periods = [Quota::per_minute(1), Quota::per_hour(1), Quota::per_day(1)]
        .map(|quota| quota.period().as_secs());
    assert_eq!(periods, [60, HOUR.as_secs(), 24 * HOUR.as_secs()]);
}

/// Rounding adds less than a nanosecond per request of the burst, which the bound allows for.
#[test]
fn a_refill_may_exceed_the_longest_period_by_its_rounding() {
    let half = Quota::MAX_PERIOD / 2;
    let one = Duration::from_nanos(1);
    let of = |period| RateLimit::new(Quota::new(1, period).burst(2));
    assert!(of(half + one).is_ok());
    assert!(of(half + 2 * one).is_err());
}

#[test]
fn the_largest_warm_up_is_valid() {
    let of = |cold| {
        let limit = limit(Quota::per_second(1));
        limit.warm_up(WarmUp::new(cold, Duration::from_secs(1)))
    };
    let over = |over| limit(Quota::per_second(1)).warm_up(WarmUp::new(2, over));
    assert!(over(Quota::MAX_PERIOD).is_ok());
    assert!(over(Quota::MAX_PERIOD + Duration::from_nanos(1)).is_err());
    assert!(of(WarmUp::MAX_COLD).is_ok());
    assert!(of(WarmUp::MAX_COLD + 1).is_err());
}
