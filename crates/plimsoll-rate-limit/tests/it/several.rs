//! Several quotas: on one limit, in tuples of limits, and by plan.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_core::{Choose, GateLayer, HeaderKey, Missing, Policy, policy::Verdict};
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use proptest::{collection::vec, prelude::*};
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    exact::{Counted, Exact, Terms},
    limit, ms,
};

const SECOND: u64 = 1_000_000_000;

/// `Ok` when the request is admitted, or the wait.
fn ask<Req>(policy: &impl Policy<Req>, mut req: Req, now: Instant) -> Result<(), Option<Duration>> {
    match policy.admit(&mut req, now) {
        Verdict::Admit(_) => Ok(()),
        Verdict::Reject(rejection) => Err(rejection.retry_after()),
        Verdict::Wait(_) => unreachable!("a rate limit has no queue"),
    }
}

#[test]
fn a_request_takes_from_all_quotas_or_from_none() {
    let quotas = [Quota::per_second(10), Quota::per_hour(1000)];
    let limit = RateLimit::all(quotas).expect("valid");
    let start = Instant::now();
    for second in 0..100 {
        let now = start + ms(1000 * second);
        for _ in 0..20 {
            _ = ask(&limit, (), now);
        }
    }
    // Ten per second while the hour has some left: 1,000, and 27 that were refilled in a hundred
    // seconds.
    let now = start + ms(100_000);
    assert_eq!(limit.available(now), 10);
    let left = (100..).take_while(|second| ask(&limit, (), start + ms(1000 * second)).is_ok());
    assert_eq!(left.count(), 38, "rejections took nothing of the hour");
}

#[test]
fn a_rejection_has_the_longest_wait() {
    let quotas = [Quota::per_second(2), Quota::per_minute(3).fixed_window()];
    let limit = RateLimit::all(quotas).expect("valid");
    let now = Instant::now();
    assert!(ask(&limit, (), now).is_ok());
    assert!(ask(&limit, (), now).is_ok());
    assert_eq!(ask(&limit, (), now), Err(Some(ms(500))), "of the second");
    assert!(ask(&limit, (), now + ms(500)).is_ok());
    let later = now + ms(500);
    assert_eq!(
        ask(&limit, (), later),
        Err(Some(ms(59_500))),
        "of the minute"
    );
    assert!(ask(&limit, (), now + ms(60_000)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_rejection_names_the_quota_with_the_longest_wait() {
    let quotas = [
        Quota::per_second(2).named("second"),
        Quota::per_hour(3).fixed_window().named("hour"),
    ];
    let layer = GateLayer::new(RateLimit::all(quotas).expect("valid"));
    for (status, policy, left) in [
        (200, "\"second\";q=2;w=1", "\"second\";r=1;t=1"),
        (200, "\"second\";q=2;w=1", "\"second\";r=0;t=1"),
        (429, "\"second\";q=2;w=1", "\"second\";r=0;t=1"),
    ] {
        let response = call(&layer, &[]).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["ratelimit-policy"], policy);
        assert_eq!(response.headers()["ratelimit"], left);
        let named = response.headers().get_all("ratelimit").iter().count();
        assert_eq!(named, if status == 200 { 2 } else { 1 });
    }
    advance(ms(1000)).await;
    assert_eq!(call(&layer, &[]).await.status(), 200);
    let rejected = call(&layer, &[]).await;
    assert_eq!(rejected.headers()["ratelimit"], "\"hour\";r=0;t=3599");
    assert_eq!(rejected.headers()["retry-after"], "3599");
}

fn terms() -> impl Strategy<Value = Terms> {
    (1_u32..30, 0..3, 1_u32..12, 1_u64..8).prop_map(|(count, counted, burst, thirds)| Terms {
        count,
        period: thirds * SECOND / 3,
        counted: match counted {
            0 => Counted::Bucket { burst },
            1 => Counted::Fixed,
            _ => Counted::Sliding,
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    /// Like three exact logs that must all admit. After its wait a request is admitted, and a
    /// nanosecond earlier it is rejected.
    #[test]
    fn decides_like_all_quotas_together(
        all in [terms(), terms(), terms()],
        asks in vec((0_u64..SECOND / 3, 0_u32..6, any::<bool>()), 1..100),
    ) {
        let limit = RateLimit::all(all.map(Terms::quota)).expect("valid").cost(|cost: &u32| *cost);
        let start = Instant::now();
        assert!(limit.available(start) > 0); // the epoch
        let mut exact = all.map(Exact::new);
        let mut at = 0;
        for (gap, cost, waits) in asks {
            at += gap;
            let mut model = |at| {
                let mut next = exact.clone();
                let got = next.each_mut().map(|exact| exact.ask(at, cost));
                if got.iter().all(Result::is_ok) {
                    exact = next;
                    return Ok(());
                }
                let waits = got.into_iter().filter_map(Result::err);
                // Never is longer than any wait.
                Err(waits.max_by_key(|wait| wait.unwrap_or(u64::MAX)).expect("one rejects"))
            };
            let real = |at| ask(&limit, cost, start + Duration::from_nanos(at))
                .map_err(|wait| wait.map(|wait| wait.as_nanos() as u64));
            let got = real(at);
            prop_assert_eq!(got, model(at), "at {} ns", at);
            if let (Err(Some(wait)), true) = (got, waits) {
                at += wait;
                prop_assert_eq!(real(at - 1), Err(Some(1)));
                prop_assert_eq!(real(at), Ok(()), "after {} ns", wait);
                model(at).expect("the same wait");
            }
        }
    }
}

/// Limits for the client, its tenant and all callers.
type Levels = (
    KeyedRateLimit<HeaderKey>,
    KeyedRateLimit<HeaderKey>,
    RateLimit,
);

fn levels(client: u32, tenant: u32, all: u32) -> Levels {
    let keyed = |count, header| {
        let key = HeaderKey::from_static(header);
        RateLimit::new(Quota::per_hour(count))
            .expect("valid")
            .per_key(key, Missing::Share, 1000)
            .expect("valid")
    };
    (
        keyed(client, "x-client"),
        keyed(tenant, "x-tenant"),
        limit(Quota::per_hour(all)),
    )
}

/// What this client, its tenant and all callers have left.
fn left(levels: &Levels, client: &str, tenant: &str, now: Instant) -> [Option<u64>; 3] {
    let (clients, tenants, all) = levels;
    [
        clients.handle().available(client.as_bytes(), now),
        tenants.handle().available(tenant.as_bytes(), now),
        Some(all.available(now)),
    ]
}

fn request(headers: &[(&'static str, &str)]) -> Request<()> {
    let mut req = Request::new(());
    for (name, value) in headers {
        let value = value.parse().expect("a header");
        req.headers_mut().insert(*name, value);
    }
    req
}

async fn call<P: Policy<Request<()>> + 'static>(
    layer: &GateLayer<P>,
    headers: &[(&'static str, &str)],
) -> Response<()> {
    let service = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
    });
    let response = layer.layer(service).oneshot(request(headers)).await;
    response.expect("infallible").map(drop)
}

/// The counts of the three levels. Each level is used up first in one of the cases.
const EACH_REJECTS: [[u32; 3]; 3] = [[2, 50, 90], [50, 2, 90], [50, 90, 2]];

#[test]
fn a_level_that_rejects_takes_nothing_of_the_others() {
    for counts in EACH_REJECTS {
        let [client, tenant, all] = counts;
        let levels = levels(client, tenant, all);
        let now = Instant::now();
        let headers = [("x-client", "ann"), ("x-tenant", "acme")];
        for _ in 0..2 {
            assert!(ask(&levels, request(&headers), now).is_ok());
        }
        let spent = counts.map(|count| Some(u64::from(count) - 2));
        for _ in 0..20 {
            let wait = ask(&levels, request(&headers), now).expect_err("rejected");
            assert_eq!(wait, Some(ms(1_800_000)));
            assert_eq!(left(&levels, "ann", "acme", now), spent, "{counts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_that_rejects_takes_nothing_of_the_others_behind_a_gate() {
    for counts in EACH_REJECTS {
        let [client, tenant, all] = counts;
        let layer = GateLayer::new(levels(client, tenant, all));
        let headers = [("x-client", "ann"), ("x-tenant", "acme")];
        for _ in 0..2 {
            assert_eq!(call(&layer, &headers).await.status(), StatusCode::OK);
        }
        let spent = counts.map(|count| Some(u64::from(count) - 2));
        for _ in 0..20 {
            let rejected = call(&layer, &headers).await;
            assert_eq!(rejected.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(rejected.headers()["retry-after"], "1800");
            let left = left(layer.policy(), "ann", "acme", Instant::now());
            assert_eq!(left, spent, "{counts:?}");
        }
    }
}

/// A greedy client of a tenant leaves the rest of the tenant's quota to other clients.
#[test]
fn a_client_over_its_own_quota_leaves_its_tenant_the_rest() {
    let levels = levels(3, 5, 8);
    let now = Instant::now();
    let count = |client, tenant| {
        let headers = [("x-client", client), ("x-tenant", tenant)];
        (0..100)
            .filter(|_| ask(&levels, request(&headers), now).is_ok())
            .count()
    };
    assert_eq!(count("ann", "acme"), 3);
    assert_eq!(count("bob", "acme"), 2, "the tenant has five");
    assert_eq!(count("cid", "umbrella"), 3);
    assert_eq!(count("dan", "umbrella"), 0, "all have eight");
    // A caller that was never admitted has a full quota.
    assert_eq!(
        left(&levels, "dan", "umbrella", now),
        [Some(3), Some(2), Some(0)]
    );
}

#[tokio::test(start_paused = true)]
async fn each_plan_has_its_own_counts() {
    let plan = |req: &Request<()>| match req.headers().get("x-plan")?.as_bytes() {
        b"free" => Some(0),
        b"pro" => Some(1),
        b"trial" => Some(7),
        _ => None,
    };
    let keyed = |quota: Quota| {
        let key = HeaderKey::from_static("x-user");
        RateLimit::new(quota)
            .expect("valid")
            .per_key(key, Missing::Share, 1000)
            .expect("valid")
    };
    let plans = [
        keyed(Quota::per_hour(2).named("free")),
        keyed(Quota::per_hour(5).named("pro")),
    ];
    let layer = GateLayer::new(Choose::new(
        plan,
        plans,
        keyed(Quota::per_hour(1).named("others")),
    ));
    let count = async |user: &str, plan: &str| {
        let mut admitted = 0;
        for _ in 0..20 {
            let response = call(&layer, &[("x-user", user), ("x-plan", plan)]).await;
            let named = &response.headers().get("ratelimit-policy");
            let named = named.map(|named| named.to_str().expect("ASCII").to_owned());
            match plan {
                "free" => assert_eq!(named.as_deref(), Some("\"free\";q=2;w=3600")),
                "pro" => assert_eq!(named.as_deref(), Some("\"pro\";q=5;w=3600")),
                _ => assert_eq!(named.as_deref(), Some("\"others\";q=1;w=3600")),
            }
            admitted += u32::from(response.status() == StatusCode::OK);
        }
        admitted
    };
    assert_eq!(count("ann", "free").await, 2);
    assert_eq!(count("bob", "free").await, 2);
    assert_eq!(count("cid", "pro").await, 5);
    assert_eq!(
        count("ann", "pro").await,
        5,
        "the new plan starts with a full quota"
    );
    assert_eq!(count("dan", "trial").await, 1, "no policy at this index");
    assert_eq!(count("eve", "gratis").await, 1, "no such plan");
    let [free, pro] = layer.policy().get_ref() else {
        panic!("two plans");
    };
    assert_eq!((free.handle().keys(), pro.handle().keys()), (2, 2));
}
