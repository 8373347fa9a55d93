//! Responses as callers see them.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_core::{GateLayer, Missing, Policy, Rejection};
use plimsoll_rate_limit::{Quota, RateLimitLayer};
use sfv::{BareItem, List, ListEntry, Parser};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{limit, ms};

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from("hello"))))
}

async fn get<P: Policy<Request<()>> + 'static>(
    layer: &GateLayer<P>,
    key: Option<&str>,
) -> (StatusCode, HeaderMap) {
    let mut req = Request::new(());
    if let Some(key) = key {
        req.headers_mut()
            .insert("x-user", key.parse().expect("a header"));
    }
    let response = layer
        .layer(service_fn(hello))
        .oneshot(req)
        .await
        .expect("infallible");
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        let rejection = response
            .extensions()
            .get::<Rejection>()
            .expect("in the extensions");
        assert_eq!(rejection.policy(), "rate-limit");
    }
    (response.status(), response.headers().clone())
}

/// `"name";a=1;b=2` as ("name", [("a", 1), ("b", 2)]).
fn field(headers: &HeaderMap, name: &str) -> (String, Vec<(String, i64)>) {
    let value = headers[name].to_str().expect("ASCII");
    let list: List = Parser::new(value).parse().expect("a structured field");
    let [ListEntry::Item(item)] = &list[..] else {
        panic!("one item: {value}")
    };
    let BareItem::String(name) = &item.bare_item else {
        panic!("a string: {value}")
    };
    let number = |item: &BareItem| i64::from(item.as_integer().expect("an integer"));
    let params = item
        .params
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), number(value)));
    (name.as_str().to_owned(), params.collect())
}

fn parsed(name: &str, params: &[(&str, i64)]) -> (String, Vec<(String, i64)>) {
    let params = params
        .iter()
        .map(|(key, value)| ((*key).to_owned(), *value));
    (name.to_owned(), params.collect())
}

#[tokio::test(start_paused = true)]
async fn over_quota_is_429_with_retry_after_rounded_up() {
    let layer = RateLimitLayer::new(limit(Quota::per_second(4).burst(1)));
    assert_eq!(get(&layer, None).await.0, StatusCode::OK);
    let (status, headers) = get(&layer, None).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    // A quarter of a second is not 0 seconds.
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(headers["plimsoll-rejected-by"], "rate-limit");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(!headers.contains_key("ratelimit"), "not announced");

    // After the wait the client is admitted.
    tokio::time::advance(ms(1000)).await;
    assert_eq!(get(&layer, None).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_nanosecond_is_rounded_up_to_a_second() {
    let layer = RateLimitLayer::new(limit(Quota::per_second(1).burst(1)));
    get(&layer, None).await;
    tokio::time::advance(std::time::Duration::from_nanos(999_999_999)).await;
    assert_eq!(get(&layer, None).await.1["retry-after"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_named_quota_is_reported_on_every_response() {
    let quota = Quota::per_minute(60).burst(2);
    let layer = RateLimitLayer::new(limit(quota.named("per-user")));
    for (status, remaining, reset) in [(200, 1, 1), (200, 0, 1), (429, 0, 1)] {
        let (got, headers) = get(&layer, None).await;
        assert_eq!(got, status);
        let policy = parsed("per-user", &[("q", 60), ("w", 60)]);
        assert_eq!(field(&headers, "ratelimit-policy"), policy);
        let left = parsed("per-user", &[("r", remaining), ("t", reset)]);
        assert_eq!(field(&headers, "ratelimit"), left);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_never_before_reset() {
    let layer = RateLimitLayer::new(limit(Quota::per_minute(7).named("m")));
    for _ in 0..7 {
        get(&layer, None).await;
    }
    for _ in 0..9 {
        let (status, headers) = get(&layer, None).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        let retry: i64 = headers["retry-after"]
            .to_str()
            .expect("ASCII")
            .parse()
            .expect("digits");
        let (_, params) = field(&headers, "ratelimit");
        assert_eq!(params, [("r".to_owned(), 0), ("t".to_owned(), retry)]);
        tokio::time::advance(ms(950)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_not_whole_seconds_is_left_out() {
    let quota = Quota::new(5, ms(1500));
    let layer = RateLimitLayer::new(limit(quota.named("odd")));
    let (_, headers) = get(&layer, None).await;
    assert_eq!(
        field(&headers, "ratelimit-policy"),
        parsed("odd", &[("q", 5)])
    );
    assert_eq!(
        field(&headers, "ratelimit"),
        parsed("odd", &[("r", 4), ("t", 1)])
    );
}

#[tokio::test(start_paused = true)]
async fn each_key_sees_its_own_quota() {
    let key = |req: &Request<()>| req.headers().get("x-user").cloned();
    let limit = limit(Quota::per_minute(60).burst(3).named("per-user"));
    let layer = GateLayer::new(limit.per_key(key, Missing::Share, 100).expect("a capacity"));
    for (user, remaining) in [("ann", 2), ("ann", 1), ("bob", 2), ("ann", 0)] {
        let (_, headers) = get(&layer, Some(user)).await;
        let (_, params) = field(&headers, "ratelimit");
        assert_eq!(params[0], ("r".to_owned(), remaining), "{user}");
    }
    assert_eq!(
        get(&layer, Some("ann")).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(get(&layer, Some("bob")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn two_quotas_are_reported_side_by_side() {
    let stack = (
        limit(Quota::per_second(10).named("burst")),
        limit(Quota::per_hour(100).named("daily")),
    );
    let (_, headers) = get(&GateLayer::new(stack), None).await;
    let policies: Vec<_> = headers.get_all("ratelimit-policy").iter().collect();
    assert_eq!(policies, ["\"burst\";q=10;w=1", "\"daily\";q=100;w=3600"]);
}
