//! Rejections with the user's own body.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use plimsoll_core::{Http, Kind, Rejection, policy::Allowance};

use super::wire::answer;

const HTML: HeaderValue = HeaderValue::from_static("text/html");

/// A page that names the policy, the kind and the path.
fn page() -> Http {
    Http::new().body(|rejection, request| {
        let (policy, kind) = (rejection.policy(), rejection.kind().as_str());
        let page = format!("{policy} {kind} {}", request.uri.path());
        (HTML, Bytes::from(page))
    })
}

fn rejections() -> [Rejection; 5] {
    let quota = Allowance {
        name: "per-user",
        limit: 100,
        remaining: 0,
        reset: Duration::from_secs(5),
        window_secs: 60,
    };
    [
        Rejection::new("rate-limit", Kind::OverQuota)
            .with_retry_after(Duration::from_secs(7))
            .with_allowance(quota),
        Rejection::new("load-shed", Kind::Full).with_threshold(300),
        Rejection::new("breaker", Kind::CircuitOpen).with_retry_after(Duration::from_secs(3)),
        Rejection::new("deadline", Kind::Deadline),
        Rejection::new("sampling", Kind::Skipped),
    ]
}

fn request() -> Request<()> {
    Request::get("/ads/7").body(()).unwrap()
}

#[tokio::test]
async fn an_own_body_gets_the_rejection_and_the_head_of_the_request() {
    for rejection in rejections() {
        let (head, body) = answer(page(), rejection, request()).await;
        let (policy, kind) = (rejection.policy(), rejection.kind().as_str());
        assert_eq!(head.headers()["content-type"], "text/html", "{kind}");
        assert_eq!(body, format!("{policy} {kind} /ads/7"));
    }
}

#[tokio::test]
async fn an_own_body_changes_neither_status_nor_headers_nor_extensions() {
    fn without_type(headers: &HeaderMap) -> HeaderMap {
        let mut headers = headers.clone();
        headers.remove("content-type");
        headers
    }
    for rejection in rejections() {
        let (own, _) = answer(page(), rejection, request()).await;
        let (usual, _) = answer(Http::new(), rejection, request()).await;
        assert_eq!(own.status(), usual.status());
        assert_eq!(without_type(own.headers()), without_type(usual.headers()));
        assert_eq!(own.extensions().get::<Rejection>(), Some(&rejection));
    }
}

#[tokio::test]
async fn a_rate_limit_keeps_its_headers_under_an_own_body() {
    let (head, _) = answer(page(), rejections()[0], request()).await;
    assert_eq!(head.status(), StatusCode::TOO_MANY_REQUESTS);
    for (name, value) in [
        ("retry-after", "7"),
        ("cache-control", "no-store"),
        ("plimsoll-rejected-by", "rate-limit"),
        ("ratelimit-policy", r#""per-user";q=100;w=60"#),
        ("ratelimit", r#""per-user";r=0;t=5"#),
    ] {
        assert_eq!(head.headers()[name], value, "{name}");
    }
}

#[tokio::test]
async fn an_own_body_does_not_depend_on_accept_or_on_problem_details() {
    let rejection = rejections()[0];
    let mut request = request();
    let html_only = HeaderValue::from_static("text/html");
    request.headers_mut().insert("accept", html_only);
    let http = page().problem_details(false);
    let (_, body) = answer(http, rejection, request).await;
    assert_eq!(body, "rate-limit over-quota /ads/7");
}

#[tokio::test]
async fn empty_bytes_are_no_body_and_no_content_type() {
    let http = Http::new().body(|_, _| (HTML, Bytes::new()));
    let (head, body) = answer(http, rejections()[0], request()).await;
    assert_eq!(body, "");
    assert!(!head.headers().contains_key("content-type"));
    assert_eq!(head.headers()["retry-after"], "7");
}

#[tokio::test]
async fn a_grpc_rejection_does_not_call_the_writer() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let http = Http::new().body(move |_, _| {
        counted.fetch_add(1, SeqCst);
        (HTML, Bytes::from_static(b"page"))
    });
    let request = Request::post("/ads.Ads/Serve")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (head, body) = answer(http.clone(), rejections()[0], request).await;
    assert_eq!(
        (head.headers()["grpc-status"].as_bytes(), &*body),
        (&b"8"[..], "")
    );
    assert_eq!(calls.load(SeqCst), 0);
    // A clone of the protocol shares the writer.
    answer(http, rejections()[0], Request::new(())).await;
    assert_eq!(calls.load(SeqCst), 1);
}
