//! A rejection over gRPC, as tonic reads it.

use std::time::Duration;

use http::Request;
use plimsoll_core::{Http, Kind, RateLimitFields, Rejection, policy::Allowance};
use tonic_types::StatusExt as _;

use super::{QUOTA, answer, grpc_request, text};

#[tokio::test]
async fn grpc_rejections_are_trailers_only_and_tonic_reads_them() {
    let rejection =
        Rejection::new("rate-limit", Kind::OverQuota).with_retry_after(Duration::from_millis(1500));
    let (head, _) = answer(Http::new(), rejection, grpc_request()).await;
    assert_eq!(
        text(head.headers(), "content-type"),
        Some("application/grpc+proto")
    );
    assert_eq!(text(head.headers(), "grpc-retry-pushback-ms"), Some("1500"));
    assert_eq!(
        text(head.headers(), "plimsoll-rejected-by"),
        Some("rate-limit")
    );
    let status = tonic::Status::from_header_map(head.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(status.message(), "quota exceeded");
    let retry = status.get_details_retry_info().expect("RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_millis(1500)));
}

/// For a stream that has begun, with a message of its own.
#[test]
fn grpc_trailers_are_those_of_a_rejection_without_what_means_that_nothing_was_run() {
    let rejection =
        Rejection::new("stream", Kind::OverQuota).with_retry_after(Duration::from_millis(1500));
    let trailers = plimsoll_core::support::grpc_trailers(&rejection, "too slow");
    assert_eq!(text(&trailers, "grpc-retry-pushback-ms"), Some("1500"));
    assert_eq!(trailers.len(), 4, "status, message, details and pushback");
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(status.message(), "too slow");
    let retry = status.get_details_retry_info().expect("RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_millis(1500)));
    let full = plimsoll_core::support::grpc_trailers(&Rejection::new("s", Kind::Full), "full");
    let status = tonic::Status::from_header_map(&full).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn grpc_rejections_name_the_violated_quota() {
    let rejection = Rejection::new("rate-limit", Kind::OverQuota).with_allowance(QUOTA);
    let headers_of = async |rejection| {
        let req = Request::post("/")
            .header("content-type", "application/grpc")
            .header("x-api-key", "c0ffee-secret");
        answer(Http::new(), rejection, req.body(()).unwrap())
            .await
            .0
            .headers()
            .clone()
    };
    for hint in [Some(Duration::from_secs(20)), None] {
        let rejection = hint.map_or(rejection, |wait| rejection.with_retry_after(wait));
        let headers = headers_of(rejection).await;
        let details = text(&headers, "grpc-status-details-bin").unwrap();
        assert!(!details.contains('='), "padding in binary metadata");
        assert!(details.len() < 300, "{} bytes", details.len());
        let status = tonic::Status::from_header_map(&headers).unwrap();
        assert_eq!(
            status
                .get_details_retry_info()
                .and_then(|info| info.retry_delay),
            hint
        );
        let failure = status.get_details_quota_failure().expect("QuotaFailure");
        let [violation] = &failure.violations[..] else {
            panic!("{failure:?}");
        };
        assert_eq!(
            (violation.subject.as_str(), violation.description.as_str()),
            ("caller", "quota exceeded")
        );
        assert_eq!(
            (violation.quota_id.as_str(), violation.quota_value),
            ("per-user", 100)
        );
        assert!(!format!("{headers:?}{status:?}").contains("c0ffee"));
    }
    for rejection in [
        Rejection::new("concurrency", Kind::Full).with_allowance(QUOTA),
        Rejection::new("rate-limit", Kind::OverQuota).with_allowance(Allowance {
            name: "a\"b",
            ..QUOTA
        }),
    ] {
        let status = tonic::Status::from_header_map(&headers_of(rejection).await).unwrap();
        assert!(
            status.get_details_quota_failure().is_none(),
            "{rejection:?}"
        );
    }
}

#[tokio::test]
async fn grpc_details_stay_small_for_every_quota() {
    const NAME: &str = "0123456789012345678901234567890123456789012345678901234567890123";
    let rejection = Rejection::new("rate-limit", Kind::OverQuota)
        .with_retry_after(Duration::MAX)
        .with_allowance(Allowance {
            name: NAME,
            limit: u64::MAX,
            ..QUOTA
        });
    let (head, _) = answer(Http::new(), rejection, grpc_request()).await;
    assert!(
        text(head.headers(), "grpc-status-details-bin")
            .unwrap()
            .len()
            < 400
    );
    let status = tonic::Status::from_header_map(head.headers()).unwrap();
    let failure = status.get_details_quota_failure().unwrap();
    assert_eq!(failure.violations[0].quota_value, i64::MAX);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn grpc_rejections_have_no_rate_limit_fields() {
    let rejection = Rejection::new("rate-limit", Kind::OverQuota).with_allowance(QUOTA);
    let protocol = Http::new().rate_limit_fields(RateLimitFields::DRAFT_11.and_legacy());
    let (head, _) = answer(protocol, rejection, grpc_request()).await;
    // Trailers-Only: the fields are not allowed in trailers.
    let names: Vec<_> = head
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert!(
        !names.iter().any(|name| name.contains("ratelimit")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_quota_that_can_never_be_met_gives_no_hint_and_forbids_grpc_retries() {
    let rejection = Rejection::new("rate-limit", Kind::OverQuota);
    let (head, _) = answer(Http::new(), rejection, Request::new(())).await;
    assert!(!head.headers().contains_key("retry-after"));
    let (head, _) = answer(Http::new(), rejection, grpc_request()).await;
    assert_eq!(text(head.headers(), "grpc-retry-pushback-ms"), Some("-1"));
    assert!(!head.headers().contains_key("grpc-status-details-bin"));
}
