//! What a refusal looks like on the wire.

use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{Allowance, GateLayer, Http, Kind, Rejection};
use tonic_types::StatusExt as _;
use tower::{Layer as _, ServiceExt as _};

/// Refuses everything with one rejection.
struct Refuse(Rejection);

impl<Req> plimsoll_core::Policy<Req> for Refuse {
    type Permit = std::convert::Infallible;
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::Verdict<Self::Permit, Self::Wait> {
        plimsoll_core::Verdict::Reject(self.0)
    }
    fn finish(&self, permit: Self::Permit, _: &plimsoll_core::Outcome) {
        match permit {}
    }
    fn revoke(&self, permit: Self::Permit, _: tokio::time::Instant, _: tokio::time::Instant) {
        match permit {}
    }
}

async fn answer(protocol: Http, rejection: Rejection, req: Request<()>) -> (Response<()>, String) {
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::new())))
    });
    let layer = GateLayer::builder(Refuse(rejection))
        .protocol(protocol)
        .build();
    let (head, body) = layer.layer(inner).oneshot(req).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(head, ()),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

fn grpc_request() -> Request<()> {
    Request::builder()
        .header("content-type", "application/grpc+proto")
        .body(())
        .unwrap()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

const QUOTA: Allowance = Allowance {
    name: "per-user",
    limit: 100,
    window_secs: 60,
    remaining: 0,
    reset: Duration::from_millis(4_200),
};

#[tokio::test]
async fn a_caller_over_its_quota_gets_the_golden_429() {
    let rejection = Rejection::new("rate-limit", Kind::OverQuota)
        .retry_after(Duration::from_millis(4_200))
        .allowance(QUOTA);
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
    assert_eq!(text(headers, "plimsoll-refused-by"), Some("rate-limit"));
    assert_eq!(headers.len(), 6);
    assert_eq!(
        body,
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"violated-policies":["per-user"]}"#
    );
    assert_eq!(head.extensions().get(), Some(&rejection));
}

#[tokio::test]
async fn the_fields_are_structured_fields() {
    let rejection = Rejection::new("r", Kind::OverQuota).allowance(Allowance {
        limit: u64::MAX,
        remaining: u64::MAX,
        reset: Duration::MAX,
        ..QUOTA
    });
    let (head, _) = answer(Http::new(), rejection, Request::new(())).await;
    for field in ["ratelimit", "ratelimit-policy"] {
        let value = text(head.headers(), field).unwrap();
        let list: sfv::List = sfv::Parser::new(value).parse().unwrap();
        assert_eq!(list.len(), 1, "{value}");
    }
}

#[tokio::test]
async fn retry_after_is_never_zero_and_never_early() {
    for (wait, seconds) in [
        (1, "1"),
        (999, "1"),
        (1000, "1"),
        (1001, "2"),
        (59_999, "60"),
    ] {
        let rejection =
            Rejection::new("r", Kind::CircuitOpen).retry_after(Duration::from_millis(wait));
        let (head, _) = answer(Http::new(), rejection, Request::new(())).await;
        assert_eq!(
            text(head.headers(), "retry-after"),
            Some(seconds),
            "{wait} ms"
        );
    }
}

#[tokio::test]
async fn a_full_server_spreads_the_return_of_those_it_refused() {
    let rejection = Rejection::new("r", Kind::Full).retry_after(Duration::from_secs(10));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let (head, _) = answer(Http::new(), rejection, Request::new(())).await;
        let seconds: u64 = text(head.headers(), "retry-after")
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            (10..=20).contains(&seconds),
            "never earlier than the estimate: {seconds}"
        );
        seen.insert(seconds);
    }
    assert!(seen.len() >= 9, "{seen:?}");
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
        let rejection = Rejection::new("p", kind).retry_after(Duration::from_secs(1));
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
async fn grpc_refusals_are_trailers_only_and_tonic_reads_them() {
    let rejection =
        Rejection::new("rate-limit", Kind::OverQuota).retry_after(Duration::from_millis(1500));
    let (head, _) = answer(Http::new(), rejection, grpc_request()).await;
    assert_eq!(
        text(head.headers(), "content-type"),
        Some("application/grpc+proto")
    );
    assert_eq!(text(head.headers(), "grpc-retry-pushback-ms"), Some("1500"));
    assert_eq!(
        text(head.headers(), "plimsoll-refused-by"),
        Some("rate-limit")
    );
    let status = tonic::Status::from_header_map(head.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(status.message(), "quota exceeded");
    let retry = status.get_details_retry_info().expect("RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_millis(1500)));
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

#[tokio::test]
async fn every_line_of_the_table_can_be_changed() {
    let protocol = Http::new()
        .status(Kind::Full, StatusCode::TOO_MANY_REQUESTS)
        .grpc_code(Kind::Full, 8)
        .name_policy(false)
        .problem_details(false);
    let rejection = Rejection::new("p", Kind::Full);
    let (head, body) = answer(protocol.clone(), rejection, Request::new(())).await;
    assert_eq!(head.status(), 429);
    assert_eq!(body, "");
    assert!(!head.headers().contains_key("plimsoll-refused-by"));
    let (head, _) = answer(protocol, rejection, grpc_request()).await;
    assert_eq!(text(head.headers(), "grpc-status"), Some("8"));
}

#[tokio::test]
async fn a_caller_that_accepts_no_json_gets_no_body() {
    let rejection = Rejection::new("p", Kind::Full);
    for (accept, wants) in [
        ("text/html", false),
        ("text/html, */*;q=0.1", true),
        ("", true),
    ] {
        let req = Request::builder()
            .header("accept", accept)
            .body(())
            .unwrap();
        let (_, body) = answer(Http::new(), rejection, req).await;
        assert_eq!(!body.is_empty(), wants, "accept: {accept}");
    }
}

#[tokio::test]
async fn a_policy_name_that_is_no_header_value_is_left_out() {
    let (head, _) = answer(
        Http::new(),
        Rejection::new("a\nb", Kind::Full),
        Request::new(()),
    )
    .await;
    assert!(!head.headers().contains_key("plimsoll-refused-by"));
    assert_eq!(head.status(), 503);
}
