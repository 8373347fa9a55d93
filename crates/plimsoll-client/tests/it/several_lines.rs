//! Headers that occur several times in a message.

use std::time::Duration;

use http::HeaderMap;
use plimsoll_client::RateLimitAdvice;
use plimsoll_core::{RateLimitFields, policy::Allowance};

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines
        .map(|line| line.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_quota_is_written_unless_a_line_has_a_tighter_one() {
    let quota = |remaining| Allowance {
        name: "here",
        limit: 100,
        window_secs: 60,
        remaining,
        reset: Duration::from_secs(5),
    };
    for (remaining, replaced) in [(5, false), (3, false), (2, true)] {
        let mut written = headers(&[
            ("ratelimit", "limit=100, remaining=9, reset=1"),
            ("ratelimit", "limit=100, remaining=3, reset=1"),
            ("ratelimit", "limit=100, remaining=8, reset=1"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-remaining", "3"),
        ]);
        let before = written.clone();
        RateLimitFields::DRAFT_07
            .and_legacy()
            .write(&quota(remaining), &mut written);
        for (name, ours) in [
            (
                "ratelimit",
                format!("limit=100, remaining={remaining}, reset=5"),
            ),
            ("x-ratelimit-remaining", remaining.to_string()),
        ] {
            let expected = if replaced {
                vec![ours]
            } else {
                lines(&before, name)
            };
            assert_eq!(lines(&written, name), expected, "{remaining} left");
        }
    }
}

#[test]
fn an_age_in_any_line_means_that_the_answer_was_cached() {
    let quota = ("ratelimit", r#""a";r=0;t=5"#);
    for (ages, read) in [
        (&["0", "0"][..], 1),
        (&["0", "3"], 0),
        (&["3", "0"], 0),
        (&[], 1),
    ] {
        let mut response = headers(&[quota]);
        for age in ages {
            response.append("age", age.parse().unwrap());
        }
        assert_eq!(
            RateLimitAdvice::read(&response).left.len(),
            read,
            "{ages:?}"
        );
    }
}
