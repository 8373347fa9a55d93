//! The builder, and settings from a file.

use std::{ops::RangeInclusive, time::Duration};

use plimsoll_concurrency::{ConcurrencyLimit, Limit, Order};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_builder_sets_what_the_methods_of_a_limit_set() {
    let limit = ConcurrencyLimit::builder(64)
        .queue(128, 50 * MS)
        .order(Order::AdaptiveLifo)
        .controlled_delay(5 * MS, 100 * MS)
        .service_time(20 * MS)
        .retry_after(7000 * MS)
        .max_retry_after(9000 * MS)
        .max_stall(None)
        .build()
        .unwrap();
    let handle = limit.handle();
    assert_eq!((handle.limit(), handle.bounds()), (64, None));
    assert_eq!(handle.queue(), Some((128, 50 * MS)));
    assert_eq!(handle.order(), Order::AdaptiveLifo);
    assert_eq!(handle.controlled_delay(), Some((5 * MS, 100 * MS)));
    assert_eq!(handle.service_time(), Some(20 * MS));
    assert_eq!(handle.retry_after(), 7000 * MS);
    assert_eq!(handle.max_retry_after(), 9000 * MS);
    assert_eq!(handle.max_stall(), None);
}

#[test]
fn a_builder_without_settings_equals_the_limit_without_settings() {
    let fixed = ConcurrencyLimit::builder(3).build().unwrap().handle();
    assert_eq!((fixed.limit(), fixed.queue()), (3, None));
    assert_eq!(fixed.max_stall(), Some(10_000 * MS));
    let adaptive = ConcurrencyLimit::builder(Limit::Adaptive(None)).build();
    let (built, made) = (
        adaptive.unwrap().handle(),
        ConcurrencyLimit::adaptive().handle(),
    );
    assert_eq!(
        (built.limit(), built.bounds()),
        (made.limit(), made.bounds())
    );
    let within = ConcurrencyLimit::builder(Limit::Adaptive(Some(20..=30))).build();
    let within = within.unwrap().handle();
    assert_eq!((within.limit(), within.bounds()), (20, Some(20..=30)));
}

#[test]
fn build_reports_the_first_setting_out_of_bounds() {
    let error = |builder: plimsoll_concurrency::ConcurrencyLimitBuilder| {
        builder.build().unwrap_err().to_string()
    };
    let limit = || ConcurrencyLimit::builder(1);
    assert_eq!(
        error(ConcurrencyLimit::builder(0)),
        "limit must be in 1..=2^30, got 0"
    );
    assert_eq!(
        error(ConcurrencyLimit::builder(Limit::Adaptive(Some(
            RangeInclusive::new(9, 8)
        )))),
        "bounds must be 1 <= min <= max <= 2^30, got min = 9, max = 8"
    );
    assert_eq!(
        error(limit().queue(0, MS)),
        "queue len must be in 1..=2^20, got 0"
    );
    assert_eq!(
        error(limit().max_stall(MS)),
        "max_stall must be 100 milliseconds to 1 hour, got 1ms"
    );
}

#[test]
fn a_limit_is_a_number_or_adaptive() {
    for (text, limit) in [
        ("64", Some(Limit::Fixed(64))),
        ("adaptive", Some(Limit::Adaptive(None))),
        ("adaptive 8..=512", Some(Limit::Adaptive(Some(8..=512)))),
        ("adaptive 8..512", None),
        ("adaptive ", None),
        ("fixed 8", None),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(text.parse().ok(), limit, "{text}");
        if let Some(limit) = limit {
            assert_eq!(limit.to_string(), text);
        }
    }
}

#[cfg(feature = "serde")]
mod serde {
    use plimsoll_concurrency::ConcurrencyLimitBuilder;

    use super::*;

    fn read(json: &str) -> Result<ConcurrencyLimitBuilder, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_builder_is_read_and_written() {
        let short = read(r#"{"limit":64}"#);
        assert_eq!(short, Ok(ConcurrencyLimit::builder(64)));
        let json = r#"{
            "limit": "adaptive 8..=512", "queue": { "len": 128, "max_wait": "50ms" },
            "order": "adaptive-lifo", "controlled_delay": { "target": "5ms", "interval": "100ms" },
            "service_time": "20ms", "retry_after": "7s", "max_retry_after": "9s",
            "max_stall": "off", "reject_as_over_quota": true
        }"#;
        let builder = ConcurrencyLimit::builder(Limit::Adaptive(Some(8..=512)))
            .queue(128, 50 * MS)
            .order(Order::AdaptiveLifo)
            .controlled_delay(5 * MS, 100 * MS)
            .service_time(20 * MS)
            .retry_after(7000 * MS)
            .max_retry_after(9000 * MS)
            .max_stall(None)
            .reject_as_over_quota();
        assert_eq!(read(json), Ok(builder.clone()));
        for builder in [builder, ConcurrencyLimit::builder(64)] {
            let text = serde_json::to_string(&builder).unwrap();
            assert_eq!(read(&text), Ok(builder), "{text}");
        }
    }

    #[test]
    fn errors_name_the_field() {
        let error = |json| read(json).unwrap_err();
        assert!(error(r#"{"limit":"many"}"#).contains("`adaptive MIN..=MAX`, got \"many\""));
        assert!(error(r#"{"limit":true}"#).contains("limit must be an integer or a text"));
        assert!(error(r#"{"limit":1,"queu":1}"#).contains("unknown field `queu`"));
        assert!(error(r#"{"limit":1,"max_stall":"never"}"#).contains("or \"off\", got \"never\""));
        assert!(error("{}").contains("missing field `limit`"));
    }
}
