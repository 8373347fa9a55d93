//! What cannot be built, and how the error says so.

use std::time::Duration;

use plimsoll_core::Missing;
use plimsoll_rate_limit::{Quota, RateLimit, WarmUp};

use crate::limit;

fn complaint(quota: Quota) -> String {
    RateLimit::new(quota)
        .expect_err("an invalid quota")
        .to_string()
}

#[test]
fn bad_quotas_are_refused_by_field_and_bound() {
    let year = Quota::MAX_PERIOD;
    for (quota, expected) in [
        (
            Quota::per_second(0),
            "count is 0, but must be at least 1 request",
        ),
        (
            Quota::per_second(1).burst(0),
            "burst is 0, but must be at least 1 request",
        ),
        (
            Quota::new(1, Duration::ZERO),
            "period is 0ns, but must be 1 ns to 31536000s",
        ),
        (Quota::new(1, Duration::MAX), "must be 1 ns to 31536000s"),
        (
            Quota::new(1, year + Duration::from_nanos(1)),
            "must be 1 ns to 31536000s",
        ),
        (
            Quota::new(1001, Duration::from_micros(1)),
            "count is 1001 per 1µs, but must be at most 1 request per nanosecond",
        ),
        (
            Quota::new(1, year).burst(2),
            "burst is 2 at one request per 31536000s, but must be refilled within 31536000s",
        ),
        (
            Quota::per_hour(1).burst(u32::MAX),
            "must be refilled within 31536000s",
        ),
    ] {
        let said = complaint(quota);
        assert!(said.contains(expected), "{quota:?}: {said}");
    }
}

#[test]
fn law_09_a_limit_without_quotas_is_rejected() {
    let error = RateLimit::all([]).expect_err("it would admit everything");
    assert_eq!(
        error.to_string(),
        "number of quotas is 0, but must be at least 1"
    );
}

#[test]
fn the_bounds_themselves_are_allowed() {
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
fn windows_are_checked() {
    for (quota, expected) in [
        (
            Quota::per_second((1 << 20) + 1).sliding_window(),
            "count is 1048577, but must be at most 1048576 in a window of this kind",
        ),
        (
            Quota::per_second((1 << 30) + 1).fixed_window(),
            "must be at most 1073741824",
        ),
        (
            Quota::per_second(10).burst(5).fixed_window(),
            "burst is set, but a window lets its whole count in at once",
        ),
        (Quota::per_second(0).fixed_window(), "count is 0"),
    ] {
        let said = complaint(quota);
        assert!(said.contains(expected), "{quota:?}: {said}");
    }
    for quota in [
        Quota::per_second(1 << 20).sliding_window(),
        Quota::per_second(1 << 30).fixed_window(),
    ] {
        assert_eq!(limit(quota).handle().quota(), quota);
    }
}

#[test]
fn names_are_checked() {
    let named = |name| Quota::per_second(1).named(name);
    let quota = limit(named("per-user")).handle().quota();
    assert_eq!(quota.name(), Some("per-user"));
    for name in ["", "say \"hello\"", "back\\slash", "new\nline", "größe"] {
        let said = complaint(named(name));
        assert!(
            said.contains("must be 1 to 64 printable ASCII characters"),
            "{said}"
        );
    }
}

#[test]
fn warm_ups_are_checked() {
    let warm = |cold, over| {
        let warm_up = WarmUp::new(cold, over);
        let made = limit(Quota::per_second(1)).warm_up(warm_up);
        made.expect_err("no warm-up").to_string()
    };
    let second = Duration::from_secs(1);
    assert_eq!(warm(0, second), "cold is 0, but must be 1 to 1000");
    assert_eq!(warm(1001, second), "cold is 1001, but must be 1 to 1000");
    assert_eq!(
        warm(3, Duration::ZERO),
        "over is 0ns, but must be 1 ns to 31536000s"
    );
    let window = limit(Quota::per_second(9).fixed_window()).warm_up(WarmUp::new(3, second));
    assert!(window.is_err());
    let key: fn(&()) -> Option<u32> = |()| Some(1);
    let warms = limit(Quota::per_second(9)).warm_up(WarmUp::new(3, second));
    let keyed = warms.expect("valid").per_key(key, Missing::Admit, 10);
    assert!(keyed.is_err(), "a service is cold, not a key");
}

#[test]
fn keyed_limits_check_quota_and_capacity() {
    let key: fn(&()) -> Option<u32> = |()| Some(1);
    let make = |quota, capacity| RateLimit::keyed(quota, key, Missing::Admit, capacity);
    let said = make(Quota::per_second(0), 1)
        .expect_err("no quota")
        .to_string();
    assert_eq!(said, "count is 0, but must be at least 1 request");
    let said = make(Quota::per_second(1), 0)
        .expect_err("no capacity")
        .to_string();
    assert_eq!(said, "capacity is 0, but must be 1 to 2^28 keys");
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
fn a_handle_made_early_sees_what_is_set_later() {
    let limit = limit(Quota::per_second(9));
    let handle = limit.handle();
    let warm_up = WarmUp::new(3, Duration::from_secs(1));
    assert_eq!(handle.set_warm_up(warm_up), Ok(false));
    let _warms = limit.warm_up(warm_up).expect("valid");
    assert_eq!(handle.set_warm_up(warm_up), Ok(true));
}
