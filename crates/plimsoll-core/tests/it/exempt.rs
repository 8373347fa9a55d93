//! Conditions: requests that a policy is not asked about.

use axum::{Router, body::Body, routing::get};
use http::{Method, Request};
use plimsoll_core::{
    GateLayer, Keyed, Kind, Missing, Policy, TraceId, When, except_paths, except_preflight,
    policy::Condition, test_kit::RejectAll,
};
use tower::ServiceExt as _;

use crate::sample::Slots;

fn to(path: &str) -> Request<()> {
    Request::builder().uri(path).body(()).unwrap()
}

#[test]
fn patterns_match_the_exact_path_or_with_an_asterisk_a_prefix() {
    let asked = except_paths(["/health", "/", "/internal/*", "/a*"]);
    for (path, exempt) in [
        ("/health", true),
        ("/health?verbose", true),
        ("http://example.com/health", true),
        ("/", true),
        ("/internal/", true),
        ("/internal/metrics/cpu", true),
        ("/a", true),
        ("/abc/d", true),
        ("/health/", false),
        ("/healthz", false),
        ("/Health", false),
        ("/%68ealth", false),
        ("/x/health", false),
        ("/internal", false),
        ("/b", false),
    ] {
        assert_eq!(!asked.holds(&to(path)), exempt, "{path}");
    }
    let asked = except_paths([""]);
    assert!(asked.holds(&to("/")), "an empty pattern matches no path");
    let asked = except_paths(Vec::<String>::new());
    assert!(asked.holds(&to("/")), "no patterns exempt no path");
}

#[tokio::test]
async fn inside_a_nested_router_the_whole_path_is_compared() {
    let status = async |pattern: &str, path: &str| {
        let limit = When::new(except_paths([pattern]), RejectAll);
        let inner = Router::new()
            .route("/health", get(|| async {}))
            .layer(GateLayer::new(limit));
        let app: Router = Router::new().nest("/internal", inner);
        let req = Request::builder().uri(path).body(Body::empty()).unwrap();
        app.oneshot(req).await.unwrap().status().as_u16()
    };
    assert_eq!(status("/internal/health", "/internal/health").await, 200);
    assert_eq!(status("/internal/*", "/internal/health").await, 200);
    assert_eq!(status("/health", "/internal/health").await, 503);
}

/// An `OPTIONS` request with these headers.
fn options(headers: &[&'static str]) -> Request<()> {
    let mut req = Request::builder().method(Method::OPTIONS).body(()).unwrap();
    for header in headers {
        req.headers_mut().insert(*header, "x".parse().unwrap());
    }
    req
}

#[test]
fn only_a_complete_preflight_is_exempt() {
    let asked = except_preflight();
    let preflight = options(&["origin", "access-control-request-method"]);
    assert!(!asked.holds(&preflight));
    assert!(asked.holds(&options(&["origin"])));
    assert!(asked.holds(&options(&["access-control-request-method"])));
    assert!(asked.holds(&options(&[])));
    let mut get = preflight;
    *get.method_mut() = Method::GET;
    assert!(asked.holds(&get));
}

#[test]
fn a_pair_of_conditions_exempts_what_either_exempts() {
    let both = (except_paths(["/health"]), except_preflight());
    let nested = (both, |req: &Request<()>| req.method() != Method::PUT);
    let mut put = to("/");
    *put.method_mut() = Method::PUT;
    assert!(!nested.holds(&to("/health")));
    assert!(!nested.holds(&options(&["origin", "access-control-request-method"])));
    assert!(!nested.holds(&put));
    assert!(nested.holds(&to("/")));
}

#[test]
fn conditions_work_with_every_policy() {
    fn admits<P: Policy<Request<()>>>(policy: &P, path: &str) -> bool {
        let verdict = policy.admit(&mut to(path), tokio::time::Instant::now());
        matches!(verdict, plimsoll_core::policy::Verdict::Admit(_))
    }
    let exempt = || (except_paths(["/health"]), except_preflight());
    let keyed = || {
        Keyed::new(TraceId, Missing::Reject(Kind::OverQuota), 1, || {
            Slots::new(1)
        })
    };
    let fused = (
        When::new(exempt(), keyed().unwrap()),
        When::new(exempt(), RejectAll),
    );
    assert!(admits(&fused, "/health"));
    assert!(!admits(&fused.0, "/"));
    assert!(!admits(&fused.1, "/"));
}
