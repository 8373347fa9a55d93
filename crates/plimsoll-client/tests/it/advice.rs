//! Advice of a response to its client about retries and quotas.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use plimsoll_client::{QuotaUnit, RateLimitAdvice};
use plimsoll_core::{RateLimitFields, policy::Allowance};
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(86_400);

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |&(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    lines
        .iter()
        .map(line)
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

fn read(lines: &[(&'static str, &str)]) -> RateLimitAdvice {
    RateLimitAdvice::read(&headers(lines))
}

#[allow(clippy::unnecessary_wraps)] // The type of the fields.
fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// Name, quota, window and partition of each member.
type Policies<'a> = Vec<(&'a str, u64, Option<Duration>, Option<&'a [u8]>)>;

fn policies(advice: &RateLimitAdvice) -> Policies<'_> {
    let policies = advice.policies.iter();
    policies
        .map(|it| {
            (
                it.name.as_str(),
                it.limit,
                it.window,
                it.partition.as_deref(),
            )
        })
        .collect()
}

/// Name, rest, reset and partition of each member.
fn left(advice: &RateLimitAdvice) -> Policies<'_> {
    let left = advice.left.iter();
    left.map(|it| {
        (
            it.name.as_str(),
            it.remaining,
            it.reset,
            it.partition.as_deref(),
        )
    })
    .collect()
}

#[test]
fn the_policies_in_the_draft_are_read() {
    let minute = secs(60);
    let hour = secs(3600);
    let cases: [(&str, Policies<'_>); 7] = [
        (
            r#""burst";q=100;w=60,"daily";q=1000;w=86400"#,
            vec![
                ("burst", 100, minute, None),
                ("daily", 1000, Some(DAY), None),
            ],
        ),
        (
            r#""default";q=100;w=10"#,
            vec![("default", 100, secs(10), None)],
        ),
        (
            r#""permin";q=50;w=60,"perhr";q=1000;w=3600"#,
            vec![("permin", 50, minute, None), ("perhr", 1000, hour, None)],
        ),
        (
            r#""hour";q=1000;w=3600, "day";q=5000;w=86400"#,
            vec![("hour", 1000, hour, None), ("day", 5000, Some(DAY), None)],
        ),
        // The pad bits of both partition keys are not zero.
        (
            r#""peruser";q=100;w=60;pk=:cHsdsRa894==:"#,
            vec![(
                "peruser",
                100,
                minute,
                Some(&[0x70, 0x7b, 0x1d, 0xb1, 0x16, 0xbc, 0xf7]),
            )],
        ),
        (
            r#""peruser";q=65535;qu="content-bytes";w=10;pk=:sdfjLJUOUH==:"#,
            vec![(
                "peruser",
                65535,
                secs(10),
                Some(&[0xb1, 0xd7, 0xe3, 0x2c, 0x95, 0x0e, 0x50]),
            )],
        ),
        (
            r#""acme";q=1;acme-burst=7;b"#,
            vec![("acme", 1, None, None)],
        ),
    ];
    for (field, expected) in cases {
        let advice = read(&[("ratelimit-policy", field)]);
        assert_eq!(policies(&advice), expected, "{field}");
    }
}

#[test]
fn units_are_read_in_both_spellings() {
    for (unit, expected) in [
        ("", QuotaUnit::Requests),
        (r#";qu="requests""#, QuotaUnit::Requests),
        (r#";qu="request""#, QuotaUnit::Requests),
        (r#";qu="content-bytes""#, QuotaUnit::ContentBytes),
        (
            r#";qu="concurrent-requests""#,
            QuotaUnit::ConcurrentRequests,
        ),
        (r#";qu="acme""#, QuotaUnit::Other("acme".into())),
    ] {
        let advice = read(&[("ratelimit-policy", &format!(r#""a";q=1{unit}"#))]);
        assert_eq!(advice.policies[0].unit, expected, "{unit}");
    }
}

#[test]
fn the_limits_in_the_draft_are_read() {
    let cases: [(&str, Policies<'_>); 10] = [
        (
            r#""default";r=50;t=30"#,
            vec![("default", 50, secs(30), None)],
        ),
        (
            r#""default";r=999;pk=:dHJpYWwxMjEzMjM=:"#,
            vec![("default", 999, None, Some(b"trial121323"))],
        ),
        (
            r#""default";r=300000000;t=60;pk=:QXBwLTk5OQ==:"#,
            vec![("default", 300_000_000, secs(60), Some(b"App-999"))],
        ),
        (
            r#""problemPolicy";r=0;t=10"#,
            vec![("problemPolicy", 0, secs(10), None)],
        ),
        (
            r#""dayLimit";r=100;t=36000"#,
            vec![("dayLimit", 100, secs(36_000), None)],
        ),
        (r#""basic";r=60;t=58"#, vec![("basic", 60, secs(58), None)]),
        (r#""basic";r=20;t=56"#, vec![("basic", 20, secs(56), None)]),
        (
            r#""fixedwindow";r=99;t=50"#,
            vec![("fixedwindow", 99, secs(50), None)],
        ),
        (
            r#""";r=0;t=999999999999999"#,
            vec![("", 0, secs(999_999_999_999_999), None)],
        ),
        // The last of repeated parameters counts; parameters of the other field are ignored.
        (r#""a";r=x;r=4;q="odd";w=0"#, vec![("a", 4, None, None)]),
    ];
    for (field, expected) in cases {
        assert_eq!(left(&read(&[("ratelimit", field)])), expected, "{field}");
    }
}

#[test]
fn several_lines_of_a_field_form_one_list() {
    let advice = read(&[
        ("ratelimit", r#""a";r=1"#),
        ("ratelimit", r#""b";r=2, "c";r=3"#),
    ]);
    assert_eq!(left(&advice).len(), 3);
    let advice = read(&[("ratelimit", r#""a";r=1"#), ("ratelimit", "b;r=2")]);
    assert_eq!(
        left(&advice),
        [],
        "one malformed line, so the field is ignored"
    );
}

#[test]
fn malformed_fields_are_ignored_as_a_whole() {
    for field in [
        "quota;t=1",
        r#""a""#,
        r#""a";t=1"#,
        r#""a";r=-1"#,
        r#""a";r=1.5"#,
        r#""a";r="5""#,
        r#""a";r"#,
        r#""a";r=1,"#,
        r#""a";r=1,,"b";r=2"#,
        r#""a" ;r=1"#,
        r#""a"; r =1"#,
        r#""a";r=1;"#,
        r#"("a");r=1"#,
        r#""a";r=1;t=-1"#,
        r#""a";r=1;t=0.5"#,
        r#""a";r=1;t"#,
        r#""a";r=1;pk="text""#,
        r#""a";r=1;pk=:_-Ah:"#,
        r#""a";r=1;pk=:aGVsb G8=:"#,
        r#""a";r=1234567890123456"#,
        r#""a";r=1, b;r=1"#,
        r#""a\n";r=1"#,
        "limit=100, remaining=50, reset=30",
        "100",
        "",
    ] {
        let advice = read(&[("ratelimit", field)]);
        assert_eq!(advice, RateLimitAdvice::default(), "{field}");
    }
    for field in [
        "quota;q=100;w=1",
        r#""p";q=10;w=0"#,
        r#""p";q=10;w=0.5"#,
        r#""p";q=10;w=-1"#,
        r#""p";w=10"#,
        r#""p";q=10;qu=content-bytes"#,
        r#""p";q=-1"#,
        "100;w=60",
    ] {
        let advice = read(&[("ratelimit-policy", field)]);
        assert_eq!(advice, RateLimitAdvice::default(), "{field}");
    }
    let oversized = format!(r#""{}";r=1"#, "a".repeat(65 * 1024));
    assert_eq!(
        read(&[("ratelimit", &oversized)]),
        RateLimitAdvice::default()
    );
}

#[test]
fn quotas_of_one_name_keep_their_limits_and_windows() {
    for (limit, window_secs) in [(10, 60), (10, 3600), (20, 3600), (20, 60), (10, 60)] {
        let mut headers = HeaderMap::new();
        let quota = Allowance {
            name: "shared-name",
            limit,
            window_secs,
            remaining: 5,
            reset: Duration::ZERO,
        };
        RateLimitFields::DRAFT_11.write(&quota, &mut headers);
        let advice = RateLimitAdvice::read(&headers);
        let member = ("shared-name", limit, secs(window_secs), None);
        assert_eq!(policies(&advice), [member]);
    }
}

#[test]
fn a_field_of_64_kibibytes_is_read_and_a_longer_one_is_not() {
    let of_length = |length: usize| {
        let rest = r#""";r=0;t=7"#.len();
        let field = format!(r#""{}";r=0;t=7"#, "a".repeat(length - rest));
        read(&[("ratelimit", &field)]).wait(DAY)
    };
    assert_eq!(of_length(64 * 1024), secs(7));
    assert_eq!(of_length(64 * 1024 + 1), None);
}

#[test]
fn a_malformed_field_does_not_affect_the_other_field() {
    let advice = read(&[
        ("ratelimit-policy", r#""p";q=10;w=0"#),
        ("ratelimit", r#""p";r=0;t=7"#),
    ]);
    assert_eq!((advice.policies.len(), advice.wait(DAY)), (0, secs(7)));
}

#[test]
fn retry_after_takes_precedence_over_an_earlier_or_later_t() {
    let policy = ("ratelimit-policy", r#""dynamic";q=15;w=20"#);
    let advice = read(&[policy, ("ratelimit", r#""dynamic";r=0;t=20"#)]);
    assert_eq!(advice.wait(DAY), secs(20));
    let spent = ("ratelimit", r#""dynamic";r=0;t=40"#);
    assert_eq!(
        read(&[("retry-after", "20"), policy, spent]).wait(DAY),
        secs(20)
    );
    let some_left = ("ratelimit", r#""dynamic";r=15;t=40"#);
    assert_eq!(
        read(&[("retry-after", "20"), policy, some_left]).wait(DAY),
        secs(20)
    );
    assert_eq!(
        read(&[policy, some_left]).wait(DAY),
        None,
        "a quota with requests left has no wait"
    );
}

#[test]
fn the_latest_reset_of_the_exhausted_quotas_is_the_wait() {
    let field = r#""a";r=0;t=3, "b";r=0;t=9, "c";r=5;t=60, "d";r=0"#;
    assert_eq!(read(&[("ratelimit", field)]).wait(DAY), secs(9));
}

#[test]
fn waits_are_capped() {
    for value in ["86401", "99999999999999999999999999"] {
        assert_eq!(
            read(&[("retry-after", value)]).wait(DAY),
            Some(DAY),
            "{value}"
        );
    }
    let advice = read(&[("ratelimit", r#""a";r=0;t=999999999999999"#)]);
    assert_eq!(advice.wait(DAY), Some(DAY));
}

#[test]
fn retry_after_is_digits_or_a_date() {
    for (value, wait) in [
        ("0", secs(0)),
        ("120", secs(120)),
        ("007", secs(7)),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("5s", None),
        ("", None),
        ("soon", None),
    ] {
        assert_eq!(
            read(&[("retry-after", value)]).retry_after,
            wait,
            "{value:?}"
        );
    }
}

#[test]
fn the_date_in_the_draft_is_five_seconds_away() {
    let advice = read(&[
        ("date", "Mon, 05 Aug 2019 09:27:00 GMT"),
        ("retry-after", "Mon, 05 Aug 2019 09:27:05 GMT"),
        ("ratelimit", r#""default";r=0;t=5"#),
    ]);
    assert_eq!(advice.retry_after, secs(5));
    assert_eq!(advice.wait(DAY), secs(5));
}

#[test]
fn dates_come_in_three_forms_and_are_measured_from_when_the_response_was_sent() {
    let forms = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ];
    #[allow(clippy::disallowed_types)] // The type of HTTP dates.
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let received = epoch + Duration::from_secs(784_111_770);
    for form in forms {
        let line = [("retry-after", form)];
        let advice = RateLimitAdvice::read_at(&headers(&line), received);
        assert_eq!(advice.retry_after, secs(7), "{form}");
        assert_eq!(
            read(&line).retry_after,
            None,
            "no `Date` and no time of receipt"
        );
        for date in forms {
            let advice = read(&[("date", date), ("retry-after", form)]);
            assert_eq!(advice.retry_after, secs(0));
        }
        // The server's date takes precedence over the time of receipt, and a past date is a wait of
        // 0.
        let late = headers(&[
            ("date", "Sun, 06 Nov 1994 08:49:40 GMT"),
            ("retry-after", form),
        ]);
        assert_eq!(
            RateLimitAdvice::read_at(&late, received).retry_after,
            secs(0)
        );
    }
}

#[test]
fn quotas_in_an_answer_from_a_cache_are_ignored() {
    let fresh = [("age", "0"), ("ratelimit", r#""a";r=0;t=5"#)];
    assert_eq!(read(&fresh).wait(DAY), secs(5));
    let stale = [
        ("age", "3"),
        ("ratelimit", r#""a";r=0;t=5"#),
        ("retry-after", "2"),
    ];
    assert_eq!(
        (read(&stale).left.len(), read(&stale).wait(DAY)),
        (0, secs(2))
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        lines in proptest::collection::vec((0_usize..5, proptest::collection::vec(any::<u8>(), 0..60)), 0..6),
    ) {
        read_all(&lines);
    }

    #[test]
    fn near_misses_of_the_fields_never_panic(
        lines in proptest::collection::vec((0_usize..5, "[\"a-z=;:,.0-9() GMTSunNov-]{0,40}"), 0..6),
    ) {
        let lines: Vec<_> = lines.into_iter().map(|(n, text)| (n, text.into_bytes())).collect();
        read_all(&lines);
    }

    #[test]
    fn a_written_quota_is_read_back(
        limit in 0_u64..=999_999_999_999_999,
        window_secs in 0_u64..=999_999_999_999_999,
        share in any::<u64>(),
        reset in 0_u64..=999_999_999_999_999,
    ) {
        let remaining = share % (limit + 1);
        let reset = Duration::from_secs(reset);
        let mut headers = HeaderMap::new();
        let quota = Allowance { name: "per-user", limit, window_secs, remaining, reset };
        RateLimitFields::DRAFT_11.write(&quota, &mut headers);
        let advice = RateLimitAdvice::read(&headers);
        let window = (window_secs > 0).then(|| Duration::from_secs(window_secs));
        prop_assert_eq!(policies(&advice), [("per-user", limit, window, None)]);
        prop_assert_eq!(left(&advice), [("per-user", remaining, Some(reset), None)]);
    }
}

fn read_all(lines: &[(usize, Vec<u8>)]) {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let names = [
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "date",
            "age",
        ];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(names[*name], value);
        }
    }
    let advice = RateLimitAdvice::read(&headers);
    assert!(advice.wait(DAY).is_none_or(|wait| wait <= DAY));
}
