//! A rejection over HTTP: status, headers and body, and how each part can be changed.

use std::time::Duration;

use http::{Request, StatusCode};
use plimsoll_core::{Http, Kind, Rejection};

use super::{QUOTA, answer, grpc_request, text};

#[tokio::test]
async fn a_caller_over_its_quota_gets_the_expected_429() {
    let rejection = Rejection::new("rate-limit", Kind::OverQuota)
        .with_retry_after(Duration::from_millis(4_200))
        .with_allowance(QUOTA);
    let (head, body) = answer(Http::new(), rejection, Request::new(())).await;
    assert_eq!(head.status(), StatusCode::TOO_MANY_REQUESTS);
    let headers = head.headers();
    assert_eq!(
        text(headers, "content-type"),
        Some("application/problem+json")
    );
    assert_eq!(text(headers, "cache-control"), Some("no-store"));
    assert_eq!(text(headers, "retry-after"), Some("5"));
    assert_eq!(
        text(headers, "ratelimit-policy"),
        Some(r#""per-user";q=100;w=60"#)
    );
    assert_eq!(text(headers, "ratelimit"), Some(r#""per-user";r=0;t=5"#));
    assert_eq!(text(headers, "plimsoll-rejected-by"), Some("rate-limit"));
    assert_eq!(headers.len(), 6);
    assert_eq!(
        body,
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"violated-policies":["per-user"]}"#
    );
    assert_eq!(head.extensions().get(), Some(&rejection));
}

#[tokio::test]
async fn each_kind_has_its_status() {
    for (kind, status, code) in [
        (Kind::OverQuota, 429, "8"),
        (Kind::Full, 503, "14"),
        (Kind::CircuitOpen, 503, "14"),
        (Kind::Deadline, 504, "4"),
        (Kind::Skipped, 202, "8"),
    ] {
        let rejection = Rejection::new("p", kind).with_retry_after(Duration::from_secs(1));
        let (head, body) = answer(Http::new(), rejection, Request::new(())).await;
        assert_eq!(head.status(), status, "{kind:?}");
        assert_eq!(body.is_empty(), kind == Kind::Skipped);
        let hinted = !matches!(kind, Kind::Deadline | Kind::Skipped);
        assert_eq!(
            head.headers().contains_key("retry-after"),
            hinted,
            "{kind:?}"
        );
        let (head, body) = answer(Http::new(), rejection, grpc_request()).await;
        assert_eq!(head.status(), 200);
        assert_eq!(text(head.headers(), "grpc-status"), Some(code), "{kind:?}");
        assert_eq!(body, "");
    }
}

#[tokio::test]
async fn every_part_of_a_rejection_can_be_changed() {
    let protocol = Http::new()
        .status(Kind::Full, StatusCode::TOO_MANY_REQUESTS)
        .grpc_code(Kind::Full, 8)
        .name_policy(false)
        .problem_details(false);
    let rejection = Rejection::new("p", Kind::Full);
    let (head, body) = answer(protocol.clone(), rejection, Request::new(())).await;
    assert_eq!(head.status(), 429);
    assert_eq!(body, "");
    assert!(!head.headers().contains_key("plimsoll-rejected-by"));
    let (head, _) = answer(protocol, rejection, grpc_request()).await;
    assert_eq!(text(head.headers(), "grpc-status"), Some("8"));
}

#[tokio::test]
async fn a_caller_that_does_not_accept_json_gets_no_body() {
    let rejection = Rejection::new("p", Kind::Full);
    for (lines, accepted) in [
        (&["text/html"][..], false),
        (&["text/html, */*;q=0.1"], true),
        (&[""], true),
        (&[], true),
        // Several lines form one list.
        (&["text/html", "application/json"], true),
        (&["text/html", "text/plain"], false),
        (&["", "text/plain"], false),
        // Types are case-insensitive.
        (&["Application/Problem+JSON"], true),
        (&["APPLICATION/*"], true),
        (
            &["text/html ; level=1 ,\tapplication/json ; charset=utf-8"],
            true,
        ),
        // A weight of zero rules a type out.
        (&["application/json;q=0"], false),
        (&["application/json; Q=0.000"], false),
        (&["application/json;q=0.001"], true),
        (&["*/*;q=0"], false),
        (&["application/json;charset=utf-8;q=0, text/html"], false),
        // The most specific range decides, in any position.
        (&["application/problem+json;q=0, */*"], false),
        (&["*/*", "application/json;q=0"], false),
        (&["application/*;q=0, */*;q=1"], false),
        (&["application/*;q=0, application/problem+json"], true),
        (&["application/problem+json, application/json;q=0"], true),
        (&["*/*;q=0, application/json"], true),
        (&["text/*, image/png;q=0"], false),
    ] {
        let mut req = Request::new(());
        for line in lines {
            req.headers_mut().append("accept", line.parse().unwrap());
        }
        let (head, body) = answer(Http::new(), rejection, req).await;
        assert_eq!(!body.is_empty(), accepted, "accept: {lines:?}");
        assert_eq!(head.headers().contains_key("content-type"), accepted);
    }
}

#[tokio::test]
async fn a_policy_name_that_is_not_a_header_value_is_omitted() {
    let (head, _) = answer(
        Http::new(),
        Rejection::new("a\nb", Kind::Full),
        Request::new(()),
    )
    .await;
    assert!(!head.headers().contains_key("plimsoll-rejected-by"));
    assert_eq!(head.status(), 503);
}
