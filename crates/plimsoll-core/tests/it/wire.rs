//! Rejections on the wire.

use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{
    GateLayer, Http, Kind, RateLimitAdvice, RateLimitFields, Rejection, policy::Allowance,
};
use proptest::prelude::*;
use tonic_types::StatusExt as _;
use tower::{Layer as _, ServiceExt as _};

/// Rejects every request with this rejection.
pub(crate) struct Reject(pub(crate) Rejection);

impl<Req> plimsoll_core::Policy<Req> for Reject {
    type Permit = std::convert::Infallible;
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<Self::Permit, Self::Wait> {
        plimsoll_core::policy::Verdict::Reject(self.0)
    }
    fn finish(&self, permit: Self::Permit, _: &plimsoll_core::Outcome) {
        match permit {}
    }
    fn revoke(&self, permit: Self::Permit, _: tokio::time::Instant, _: tokio::time::Instant) {
        match permit {}
    }
}

/// Admits every request and announces these quotas.
struct Announces<const N: usize>([Allowance; N]);

impl<Req, const N: usize> plimsoll_core::Policy<Req> for Announces<N> {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), Self::Wait> {
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn announce(
        &self,
        (): &(),
        _: tokio::time::Instant,
        out: &mut plimsoll_core::policy::Announcement<'_>,
    ) {
        self.0.iter().for_each(|quota| out.allowance(quota));
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

pub(crate) async fn answer(
    protocol: Http,
    rejection: Rejection,
    req: Request<()>,
) -> (Response<()>, String) {
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::new())))
    });
    let layer = GateLayer::builder(Reject(rejection))
        .protocol(protocol)
        .build();
    let (head, body) = layer.layer(inner).oneshot(req).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(head, ()),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

pub(crate) fn grpc_request() -> Request<()> {
    Request::post("/")
        .header("content-type", "application/grpc+proto")
        .body(())
        .unwrap()
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
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

/// Parses `value` as a list, and checks that it serialises to itself.
fn sound_list(value: &str) -> sfv::List {
    use sfv::FieldType as _;
    let list: sfv::List = sfv::Parser::new(value).parse().expect(value);
    assert_eq!(list.serialize().as_deref(), Some(value));
    list
}

fn sound_dictionary(value: &str) {
    use sfv::FieldType as _;
    let dictionary: sfv::Dictionary = sfv::Parser::new(value).parse().expect(value);
    assert_eq!(dictionary.serialize().as_deref(), Some(value));
}

fn rejected(protocol: Http, rejection: Rejection) -> (Response<()>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(answer(protocol, rejection, Request::new(())))
}

fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(vec![Kind::OverQuota, Kind::Full, Kind::CircuitOpen])
}

fn durations() -> impl Strategy<Value = Duration> {
    let some = (0_u64..200_000, 0_u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n));
    prop_oneof![
        some,
        any::<u64>().prop_map(Duration::from_nanos),
        Just(Duration::ZERO),
        Just(Duration::MAX)
    ]
}

/// Some names that are valid in the fields, and some that are not.
const ODD_NAMES: [&str; 8] = [
    "per-user",
    "a",
    " ~!#$%&'()*+,-./:;<=>?@[]^_`{|}",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "",
    "a\"b",
    "back\\slash",
    "line\nbreak",
];

proptest! {
    #[test]
    fn retry_after_is_never_earlier_than_t_or_the_exact_wait(
        kind in kinds(),
        wait in durations(),
        reset in durations(),
    ) {
        let rejection = Rejection::new("p", kind)
            .with_retry_after(wait)
            .with_allowance(Allowance { reset, ..QUOTA });
        let (head, _) = rejected(Http::new(), rejection);
        let advice = RateLimitAdvice::read(head.headers());
        let retry_after = advice.retry_after.expect("a wait is written");
        prop_assert!(retry_after >= Duration::from_secs(wait.as_secs()));
        prop_assert!(retry_after >= wait || wait > Duration::from_secs(u64::MAX), "{:?}", retry_after);
        let [left] = &advice.left[..] else { panic!("{advice:?}") };
        prop_assert!(left.reset.expect("t") <= retry_after, "{:?}", advice);
    }

    #[test]
    fn written_fields_and_bodies_are_well_formed(
        kind in kinds(),
        name in proptest::sample::select(ODD_NAMES.to_vec()),
        limit in any::<u64>(),
        remaining in any::<u64>(),
        window_secs in prop_oneof![Just(0_u64), any::<u64>()],
        reset in durations(),
    ) {
        let quota = Allowance { name, limit, window_secs, remaining, reset };
        let rejection = Rejection::new("p", kind).with_allowance(quota);
        let (head, body) = rejected(Http::new(), rejection);
        let named = Allowance::is_name(name);
        for field in ["ratelimit", "ratelimit-policy"] {
            let lists = text(head.headers(), field).map(sound_list);
            prop_assert_eq!(lists.map(|list| list.len()), named.then_some(1));
        }
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(&problem["status"], &serde_json::json!(head.status().as_u16()));
        let violated = named.then(|| serde_json::json!([name]));
        prop_assert_eq!(problem.get("violated-policies"), violated.as_ref());

        let old = Http::new().rate_limit_fields(RateLimitFields::DRAFT_07.and_legacy());
        let (head, _) = rejected(old, rejection);
        sound_dictionary(text(head.headers(), "ratelimit").unwrap());
        _ = text(head.headers(), "ratelimit-policy").map(sound_list);
        for field in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            prop_assert!(text(head.headers(), field).unwrap().parse::<u64>().is_ok());
        }
    }
}

/// Announces a threshold in the head and in the trailers.
struct Threshold(u16);

impl<Req> plimsoll_core::Policy<Req> for Threshold {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), Self::Wait> {
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn announce(
        &self,
        (): &(),
        _: tokio::time::Instant,
        out: &mut plimsoll_core::policy::Announcement<'_>,
    ) {
        // Another threshold in the trailers.
        out.threshold(self.0 + u16::from(out.in_trailers()));
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

#[tokio::test]
async fn a_threshold_is_written_in_the_head_and_again_in_the_trailers() {
    let inner = tower::service_fn(|_: Request<()>| async {
        let trailers = async { Some(Ok(HeaderMap::from_iter([status_ok()]))) };
        let body = Full::new(bytes::Bytes::from_static(b"hello")).with_trailers(trailers);
        Ok::<_, std::convert::Infallible>(Response::new(body))
    });
    // The quota is only in the head. The higher of two thresholds is written.
    let layer = GateLayer::new((Threshold(300), Announces([QUOTA]), Threshold(90)));
    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    assert_eq!(text(response.headers(), "plimsoll-threshold"), Some("300"));
    assert!(response.headers().contains_key("ratelimit"));
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(text(trailers, "plimsoll-threshold"), Some("301"));
    assert_eq!(text(trailers, "grpc-status"), Some("0"));
    assert_eq!(trailers.len(), 2);
}

fn status_ok() -> (http::HeaderName, http::HeaderValue) {
    (
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )
}

#[tokio::test]
async fn a_rejection_has_its_threshold_in_both_protocols() {
    let rejection = Rejection::new("load-shed", Kind::Full).with_threshold(384);
    for req in [Request::new(()), grpc_request()] {
        let (head, _) = answer(Http::new(), rejection, req).await;
        assert_eq!(text(head.headers(), "plimsoll-threshold"), Some("384"));
    }
    let silent = Rejection::new("load-shed", Kind::Full);
    let (head, _) = answer(Http::new(), silent, Request::new(())).await;
    assert!(!head.headers().contains_key("plimsoll-threshold"));
}

/// Implements an announcement, but does not ask to announce.
struct Silent(Threshold);

impl<Req> plimsoll_core::Policy<Req> for Silent {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), Self::Wait> {
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn interests(&self, _: plimsoll_core::policy::Interests) -> plimsoll_core::policy::Interests {
        plimsoll_core::policy::Interests::ALL.with_announce(false)
    }
    fn announce(
        &self,
        (): &(),
        now: tokio::time::Instant,
        out: &mut plimsoll_core::policy::Announcement<'_>,
    ) {
        plimsoll_core::Policy::<Req>::announce(&self.0, &(), now, out);
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

#[tokio::test]
async fn a_stack_announces_if_one_of_its_policies_does() {
    async fn announced<P: plimsoll_core::Policy<Request<()>> + 'static>(policy: P) -> bool {
        let inner = tower::service_fn(|_: Request<()>| async {
            let body = Full::new(bytes::Bytes::from_static(b"hello"));
            Ok::<_, std::convert::Infallible>(Response::new(body))
        });
        let layer = GateLayer::new(policy);
        let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
        response.headers().contains_key("plimsoll-threshold")
    }
    let silent = || Silent(Threshold(300));
    assert!(!announced(silent()).await);
    assert!(!announced((silent(), (), silent())).await);
    assert!(announced(((), Threshold(300))).await);
    assert!(announced((Threshold(300), (), ())).await);
    assert!(
        announced(plimsoll_core::When::new(
            |_: &Request<()>| true,
            Threshold(300)
        ))
        .await
    );
}

#[test]
fn an_announcement_keeps_the_higher_threshold_and_gives_access_to_the_headers() {
    let mut headers = HeaderMap::new();
    let mut out = plimsoll_core::policy::Announcement::to(&mut headers);
    for level in [200, 300, 100] {
        out.threshold(level);
    }
    out.headers().insert("x-own", "1".parse().unwrap());
    assert_eq!(text(&headers, "plimsoll-threshold"), Some("300"));
    assert_eq!(text(&headers, "x-own"), Some("1"));
}

#[test]
fn a_quota_name_has_1_to_64_characters() {
    for (length, is_name) in [(0, false), (1, true), (64, true), (65, false)] {
        assert_eq!(Allowance::is_name(&"q".repeat(length)), is_name, "{length}");
    }
}
