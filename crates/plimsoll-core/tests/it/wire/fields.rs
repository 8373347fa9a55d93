//! Quotas in the headers of rejections and of accepted responses.

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use plimsoll_client::RateLimitAdvice;
use plimsoll_core::{GateLayer, Http, Kind, RateLimitFields, Rejection, policy::Allowance};
use tower::{Layer as _, ServiceExt as _};

use super::{Announces, QUOTA, Reject, answer, text};

#[tokio::test]
async fn a_rejection_has_the_chosen_fields() {
    const NAMES: [&str; 5] = [
        "ratelimit-policy",
        "ratelimit",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ];
    let legacy = [Some("100"), Some("0"), Some("5")];
    let draft_11 = [
        Some(r#""per-user";q=100;w=60"#),
        Some(r#""per-user";r=0;t=5"#),
    ];
    let draft_07 = [Some("100;w=60"), Some("limit=100, remaining=0, reset=5")];
    let (no_draft, no_legacy) = ([None; 2], [None; 3]);
    for (fields, draft, old) in [
        (RateLimitFields::default(), draft_11, no_legacy),
        (RateLimitFields::DRAFT_11, draft_11, no_legacy),
        (RateLimitFields::DRAFT_11.and_legacy(), draft_11, legacy),
        (RateLimitFields::DRAFT_07, draft_07, no_legacy),
        (RateLimitFields::DRAFT_07.and_legacy(), draft_07, legacy),
        (RateLimitFields::LEGACY, no_draft, legacy),
        (RateLimitFields::NONE, no_draft, no_legacy),
    ] {
        let rejection = Rejection::new("rate-limit", Kind::OverQuota)
            .with_retry_after(Duration::from_millis(4_200))
            .with_allowance(QUOTA);
        let protocol = Http::new().rate_limit_fields(fields);
        let (head, body) = answer(protocol, rejection, Request::new(())).await;
        let values: Vec<_> = NAMES
            .iter()
            .map(|name| text(head.headers(), name))
            .collect();
        assert_eq!(values, [&draft[..], &old[..]].concat(), "{fields:?}");
        assert_eq!(text(head.headers(), "retry-after"), Some("5"));
        assert!(body.contains("violated-policies"));
    }
}

#[tokio::test]
async fn an_accepted_answer_has_the_chosen_fields_of_every_gate_that_it_passes() {
    let named = |name, remaining| Allowance {
        name,
        remaining,
        ..QUOTA
    };
    for (fields, expected) in [
        (
            RateLimitFields::DRAFT_11,
            vec![
                ("ratelimit", r#""inner";r=7;t=5"#),
                ("ratelimit", r#""one";r=9;t=5"#),
                ("ratelimit", r#""two";r=8;t=5"#),
                ("ratelimit-policy", r#""inner";q=100;w=60"#),
                ("ratelimit-policy", r#""one";q=100;w=60"#),
                ("ratelimit-policy", r#""two";q=100;w=60"#),
            ],
        ),
        (
            RateLimitFields::LEGACY,
            vec![
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "7"),
                ("x-ratelimit-reset", "5"),
            ],
        ),
        (RateLimitFields::NONE, vec![]),
    ] {
        let inner = tower::service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::new())))
        });
        let protocol = Http::new().rate_limit_fields(fields);
        let near = GateLayer::builder(Announces([named("inner", 7)]))
            .protocol(protocol.clone())
            .build();
        let far = GateLayer::builder(Announces([named("one", 9), named("two", 8)]))
            .protocol(protocol)
            .build();
        let response = far
            .layer(near.layer(inner))
            .oneshot(Request::new(()))
            .await
            .unwrap();
        let headers = response.headers().iter();
        let mut lines: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn the_quota_of_an_inner_rejection_stays_the_tightest() {
    let fields = RateLimitFields::DRAFT_11.and_legacy();
    let rejecting = GateLayer::builder(Reject(
        Rejection::new("inner", Kind::OverQuota).with_allowance(QUOTA),
    ))
    .protocol(Http::new().rate_limit_fields(fields))
    .build();
    let announcing = GateLayer::builder(Announces([Allowance {
        name: "outer",
        remaining: 50,
        ..QUOTA
    }]))
    .protocol(Http::new().rate_limit_fields(fields))
    .build();
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::new())))
    });
    let response = announcing
        .layer(rejecting.layer(inner))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(text(response.headers(), "x-ratelimit-remaining"), Some("0"));
    let advice = RateLimitAdvice::read(response.headers());
    assert_eq!((advice.left.len(), advice.policies.len()), (2, 2));
    assert_eq!(advice.wait(Duration::MAX), Some(Duration::from_secs(5)));
}

#[test]
fn a_window_of_less_than_a_second_is_omitted() {
    let quota = Allowance {
        window_secs: 0,
        ..QUOTA
    };
    let mut headers = HeaderMap::new();
    RateLimitFields::DRAFT_11.write(&quota, &mut headers);
    assert_eq!(
        text(&headers, "ratelimit-policy"),
        Some(r#""per-user";q=100"#)
    );
    let mut headers = HeaderMap::new();
    RateLimitFields::DRAFT_07.write(&quota, &mut headers);
    assert_eq!(
        text(&headers, "ratelimit-policy"),
        None,
        "`w` is required in draft -07"
    );
}

#[test]
fn several_quotas_form_one_list_and_the_tightest_is_written_where_only_one_fits() {
    let (wide, tight) = (
        Allowance {
            name: "wide",
            limit: 1000,
            remaining: 90,
            ..QUOTA
        },
        Allowance {
            name: "tight",
            remaining: 3,
            ..QUOTA
        },
    );
    for order in [[wide, tight], [tight, wide]] {
        let mut headers = HeaderMap::new();
        for quota in order {
            RateLimitFields::DRAFT_11
                .and_legacy()
                .write(&quota, &mut headers);
        }
        let mut left: Vec<_> = RateLimitAdvice::read(&headers)
            .left
            .into_iter()
            .map(|left| (left.name, left.remaining))
            .collect();
        left.sort();
        assert_eq!(left, [("tight".into(), 3), ("wide".into(), 90)]);
        assert_eq!(text(&headers, "x-ratelimit-remaining"), Some("3"));
        assert_eq!(text(&headers, "x-ratelimit-limit"), Some("100"));
        assert_eq!(headers.get_all("x-ratelimit-remaining").iter().count(), 1);

        let mut headers = HeaderMap::new();
        for quota in order {
            RateLimitFields::DRAFT_07.write(&quota, &mut headers);
        }
        assert_eq!(
            headers.get_all("ratelimit").iter().collect::<Vec<_>>(),
            ["limit=100, remaining=3, reset=5"]
        );
        assert_eq!(headers.get_all("ratelimit-policy").iter().count(), 2);
    }
}

#[test]
fn a_larger_burst_is_not_offered() {
    let mut headers = HeaderMap::new();
    let quota = Allowance {
        remaining: 10_000,
        ..QUOTA
    };
    RateLimitFields::DRAFT_11.write(&quota, &mut headers);
    assert_eq!(text(&headers, "ratelimit"), Some(r#""per-user";r=100;t=5"#));
}

#[test]
fn quotas_with_the_same_name_are_distinguished() {
    // The fields of a quota are cached for the next rejection; these quotas differ.
    for limit in [1, 2, 1, 3] {
        let mut headers = HeaderMap::new();
        let quota = Allowance { limit, ..QUOTA };
        RateLimitFields::DRAFT_11.write(&quota, &mut headers);
        let policy = format!(r#""per-user";q={limit};w=60"#);
        assert_eq!(text(&headers, "ratelimit-policy"), Some(policy.as_str()));
    }
    for (reset, t) in [(1, 1), (1_001, 2), (1, 1)] {
        let mut headers = HeaderMap::new();
        let reset = Duration::from_millis(reset);
        let quota = Allowance { reset, ..QUOTA };
        RateLimitFields::DRAFT_11.write(&quota, &mut headers);
        let left = format!(r#""per-user";r=0;t={t}"#);
        assert_eq!(text(&headers, "ratelimit"), Some(left.as_str()));
    }
}

#[test]
fn a_quota_name_has_1_to_64_characters() {
    for (length, is_name) in [(0, false), (1, true), (64, true), (65, false)] {
        assert_eq!(Allowance::is_name(&"q".repeat(length)), is_name, "{length}");
    }
}
