//! Quotas as text and in configuration files.

use std::time::Duration;

use plimsoll_rate_limit::{Quota, RateLimit};
use proptest::prelude::*;

fn read(text: &str) -> Result<Quota, String> {
    text.parse()
        .map_err(|error: plimsoll_rate_limit::ParseQuotaError| error.to_string())
}

#[test]
fn each_part_of_the_grammar_is_read() {
    let min = Duration::from_secs(60);
    for (text, quota) in [
        ("100/s", Quota::per_second(100)),
        ("100/1s", Quota::per_second(100)),
        ("60/m", Quota::per_minute(60)),
        ("5/15m", Quota::new(5, 15 * min)),
        ("7/250ms", Quota::new(7, Duration::from_millis(250))),
        ("9/d", Quota::per_day(9)),
        ("100/1m burst 200", Quota::per_minute(100).burst(200)),
        ("100/h fixed-window", Quota::per_hour(100).fixed_window()),
        (
            "100/h sliding-window",
            Quota::per_hour(100).sliding_window(),
        ),
        ("9/calendar-hour", Quota::per_calendar_hour(9)),
        ("9/calendar-week", Quota::per_calendar_week(9)),
        (
            "9/calendar-day utc -03:30",
            Quota::per_calendar_day(9).utc_offset_minutes(-210),
        ),
        (
            "9/s burst 3 named two words",
            Quota::per_second(9).burst(3).named("two words"),
        ),
    ] {
        assert_eq!(read(text), Ok(quota), "{text}");
    }
}

#[test]
fn an_error_names_the_part_and_what_is_expected() {
    for (text, expected) in [
        (
            "",
            "quota must have a count of requests before `/`, such as `100/s`, got \"\"",
        ),
        ("100", "before `/`, such as `100/s`, got \"100\""),
        ("-1/s", "before `/`, such as `100/s`, got \"-1\""),
        ("+1/s", "got \"+1\""),
        ("4294967296/s", "got \"4294967296\""),
        (
            "1/",
            "or calendar-hour, calendar-day, calendar-week, got \"\"",
        ),
        ("1/fortnight", "got \"fortnight\""),
        ("1/s burst", "each at most once, got \"burst\""),
        ("1/s burst 1 burst 2", "got \"burst 2\""),
        ("1/s fixed-window sliding-window", "got \"sliding-window\""),
        ("1/s sliding-window fixed-window", "got \"fixed-window\""),
        ("1/calendar-day fixed-window", "got \"fixed-window\""),
        ("1/calendar-day utc +02:00 utc +03:00", "got \"utc +03:00\""),
        ("1/calendar-day utc 02:00", "got \"utc 02:00\""),
        ("1/calendar-day utc +2:00", "got \"utc +2:00\""),
        ("1/calendar-day utc +02:60", "got \"utc +02:60\""),
        ("1/s  burst 1", "got \" burst 1\""),
        ("0/s", "count must be at least 1 request, got 0"),
        ("1/0s", "period must be 1 ns to 31536000s, got 0ns"),
        ("1/s burst 0", "burst must be at least 1 request, got 0"),
        (
            "1/h fixed-window burst 2",
            "burst must not be set for a window",
        ),
        ("1/s utc +02:00", "utc_offset_minutes must not be set"),
        (
            "1/calendar-day utc +24:00",
            "utc_offset_minutes must be -1439 to 1439, got 1440",
        ),
        ("1/s named", "backslashes, got \"\""),
        ("1/s named a\"b", "backslashes, got \"a\\\"b\""),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

fn quotas() -> impl Strategy<Value = Quota> {
    let offset = prop_oneof![Just(0), -1439..=1439];
    let name = prop_oneof![
        Just(None),
        Just(Some("per-client")),
        Just(Some("two words"))
    ];
    let period = prop_oneof![
        1_u64..1_000_000_000_000,
        (1_u64..100_000).prop_map(|s| s * 1_000_000_000)
    ];
    (
        1_u32..1000,
        period,
        0..6,
        offset,
        name,
        proptest::option::of(1_u32..50),
    )
        .prop_map(|(count, period, kind, offset, name, burst)| {
            let quota = Quota::new(count, Duration::from_nanos(period));
            let quota = match (kind, burst) {
                (0, _) => quota.fixed_window(),
                (1, _) => quota.sliding_window(),
                (2, _) => Quota::per_calendar_hour(count).utc_offset_minutes(offset),
                (3, _) => Quota::per_calendar_week(count).utc_offset_minutes(offset),
                (_, Some(burst)) => quota.burst(burst),
                _ => quota,
            };
            name.map_or(quota, |name| quota.named(name))
        })
}

proptest! {
    #[test]
    fn a_printed_quota_is_read_as_itself(quota in quotas()) {
        prop_assume!(quota.check().is_ok());
        prop_assert_eq!(read(&quota.to_string()), Ok(quota));
    }
}

#[test]
fn a_name_may_be_known_only_at_run_time() {
    let name = format!("plan-{}", 7);
    let quota = Quota::per_second(1).with_name(&name).expect("a valid name");
    assert_eq!(quota, Quota::per_second(1).named("plan-7"));
    let error = Quota::per_second(1)
        .with_name("a\\b")
        .unwrap_err()
        .to_string();
    assert!(error.ends_with(r#"got "a\\b""#), "{error}");
    let limit = RateLimit::new(quota).expect("valid");
    assert_eq!(limit.handle().quota().name(), Some("plan-7"));
}

#[cfg(feature = "serde")]
mod serde {
    use plimsoll_rate_limit::{RateLimitBuilder, WarmUp};

    use super::*;

    #[test]
    fn a_builder_is_read_and_written() {
        let json =
            r#"{"quota":"9/s burst 3 named api","warm_up":{"cold":3,"over":"30s","idle":"1m"}}"#;
        let builder: RateLimitBuilder = serde_json::from_str(json).expect("valid");
        let (over, idle) = (Duration::from_secs(30), Duration::from_secs(60));
        let quota = Quota::per_second(9).burst(3).named("api");
        let expected = RateLimit::builder(quota).warm_up(WarmUp::new(3, over).after_idle(idle));
        assert_eq!(builder, expected);
        assert_eq!(serde_json::to_string(&builder).expect("text"), json);
        assert!(builder.build().is_ok());
    }

    #[test]
    fn errors_name_field_and_bound() {
        let read = |json| serde_json::from_str::<RateLimitBuilder>(json);
        let error = |json| read(json).unwrap_err().to_string();
        assert!(error(r#"{"quota":"0/s"}"#).starts_with("count must be at least 1 request, got 0"));
        assert!(error(r#"{"quota":"1/s","bust":1}"#).starts_with("unknown field `bust`"));
        let over = r#"{"quota":"1/s","warm_up":{"cold":3,"over":"30","idle":"1m"}}"#;
        assert!(error(over).contains("such as \"50ms\", got \"30\""));
        let cold = r#"{"quota":"1/s","warm_up":{"cold":0,"over":"30s","idle":"1m"}}"#;
        let error = read(cold).expect("text").build().unwrap_err().to_string();
        assert_eq!(error, "cold must be 1 to 1000, got 0");
    }
}
