//! Tests of the examples in the guides on rates, limits and rejections: each behaves as its
//! text states.

use std::{net::SocketAddr, time::Duration};

use futures_util::poll;
use http::{Request, Response, StatusCode};
use plimsoll::{
    ApiKey, Choose, ClientIp, GateLayer, Handover, Http, Kind, Missing, Policy, RateLimitFields,
    Release, Route,
    concurrency::ConcurrencyLimit,
    key::PeerAddr,
    rate_limit::{LeakyBucket, Quota, RateLimit, SlidingLog},
};
use plimsoll_core::test_kit::{Script, Scripted, request};
use tokio::time::advance;
use tower::{Layer as _, ServiceExt as _, service_fn};

/// A request for `path` from a peer, with an API key.
fn from(peer: &str, key: &str, path: &str) -> Request<()> {
    let mut request = request(Script::Status(StatusCode::OK));
    *request.uri_mut() = path.parse().unwrap();
    request
        .headers_mut()
        .insert("x-api-key", key.parse().unwrap());
    let address = SocketAddr::new(peer.parse().unwrap(), 80);
    request.extensions_mut().insert(PeerAddr(address));
    request
}

/// How many of `count` such requests are admitted.
async fn admitted<P: Policy<Request<()>> + 'static>(
    layer: &GateLayer<P>,
    count: usize,
    make: impl Fn() -> Request<()>,
) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        let response = layer
            .layer(Scripted::default())
            .oneshot(make())
            .await
            .unwrap();
        admitted += usize::from(response.status() == 200);
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn the_four_limits_of_the_rate_guide_admit_their_quotas() {
    let (q, min) = (Quota::per_minute(100), Duration::from_secs(60));
    let everybody = RateLimit::new(q.burst(10)).unwrap();
    let per_client = RateLimit::new(q.fixed_window())
        .unwrap()
        .per_key(ClientIp::peer(), Missing::Share, 100_000)
        .unwrap();
    let contract = SlidingLog::new(100, min)
        .unwrap()
        .per_key(ApiKey::new(), Missing::Share, 1_000)
        .unwrap();
    let partner = LeakyBucket::new(100, min)
        .unwrap()
        .max_wait(Duration::from_secs(15))
        .unwrap();

    let request = || from("192.0.2.1", "k", "/");
    assert_eq!(admitted(&GateLayer::new(everybody), 150, request).await, 10);
    let per_client = GateLayer::new(per_client);
    assert_eq!(admitted(&per_client, 150, request).await, 100);
    assert_eq!(
        admitted(&per_client, 150, || from("192.0.2.2", "k", "/")).await,
        100
    );
    let contract = GateLayer::new(contract);
    assert_eq!(admitted(&contract, 150, request).await, 100);
    assert_eq!(
        admitted(&contract, 150, || from("192.0.2.1", "other", "/")).await,
        100
    );

    // One request per 600 ms; 25 wait at most 15 s, and the next is rejected.
    let partner = GateLayer::new(partner);
    let mut calls: Vec<_> = (0..40)
        .map(|_| Box::pin(admitted(&partner, 1, request)))
        .collect();
    let mut at_once = Vec::new();
    for call in &mut calls {
        if let std::task::Poll::Ready(count) = poll!(call) {
            at_once.push(count);
        }
    }
    assert_eq!(at_once.iter().sum::<usize>(), 1, "the first");
    assert_eq!(at_once.len(), 1 + 14, "and 14 are rejected");
}

#[tokio::test(start_paused = true)]
async fn several_quotas_charge_all_or_none() {
    let per_key = RateLimit::all([
        Quota::per_second(10).named("second"),
        Quota::per_day(10_000).fixed_window().named("day"),
    ])
    .unwrap()
    .per_key(ApiKey::new(), Missing::Share, 100_000)
    .unwrap();
    let layer = GateLayer::new(per_key);
    let request = || from("192.0.2.1", "k", "/");
    assert_eq!(
        admitted(&layer, 1_000, request).await,
        10,
        "990 rejected by the second"
    );
    for _ in 0..999 {
        advance(Duration::from_secs(1)).await;
        assert_eq!(admitted(&layer, 11, request).await, 10);
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        admitted(&layer, 11, request).await,
        0,
        "10,000 a day, and no rejected request among them"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hierarchy_refunds_the_tokens_of_rejected_requests() {
    let everybody = RateLimit::new(Quota::per_second(5_000).burst(500)).unwrap();
    let per_key = RateLimit::new(Quota::per_second(10))
        .unwrap()
        .per_key(ApiKey::new(), Missing::Share, 100_000)
        .unwrap();
    let hierarchy = GateLayer::new((everybody, per_key));
    assert_eq!(
        admitted(&hierarchy, 2_000, || from("192.0.2.1", "greedy", "/")).await,
        10
    );
    let (everybody, _) = hierarchy.policy();
    assert_eq!(everybody.available(tokio::time::Instant::now()), 490);
}

#[tokio::test(start_paused = true)]
async fn a_request_selects_its_plan_and_costs_are_weighed() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Plan(&'static str);
    let plan = |req: &Request<()>| req.extensions().get::<Plan>().cloned();
    let of = |quota| {
        RateLimit::new(quota)
            .unwrap()
            .per_key(ApiKey::new(), Missing::Share, 100_000)
            .unwrap()
    };
    let plans = GateLayer::new(Choose::by(
        plan,
        [(Plan("pro"), of(Quota::per_minute(6_000)))],
        of(Quota::per_minute(60)),
    ));
    let pro = || {
        let mut request = from("192.0.2.1", "k", "/");
        request.extensions_mut().insert(Plan("pro"));
        request
    };
    assert_eq!(
        admitted(&plans, 100, || from("192.0.2.1", "k", "/")).await,
        60
    );
    assert_eq!(admitted(&plans, 7_000, pro).await, 6_000);

    let weighed = || {
        let limit = RateLimit::new(Quota::per_second(100)).unwrap();
        GateLayer::new(
            limit.cost(|req: &Request<()>| if req.uri().path() == "/search" { 10 } else { 1 }),
        )
    };
    assert_eq!(
        admitted(&weighed(), 200, || from("192.0.2.1", "k", "/search")).await,
        10
    );
    assert_eq!(
        admitted(&weighed(), 200, || from("192.0.2.1", "k", "/item")).await,
        100
    );
}

#[tokio::test(start_paused = true)]
async fn bytes_and_reported_costs_are_charged_after_the_call() {
    use http_body_util::{BodyExt as _, Full};
    let by_bytes = RateLimit::new(Quota::per_second(512))
        .unwrap()
        .charge(|outcome| outcome.bytes() / 1024);
    let layer = GateLayer::new(by_bytes);
    let download = async |size: usize| {
        let service = service_fn(move |_: Request<()>| {
            let body = Full::new(bytes::Bytes::from(vec![0; size]));
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(body)))
        });
        let response = layer
            .layer(service)
            .oneshot(Request::new(()))
            .await
            .unwrap();
        let status = response.status();
        response.into_body().collect().await.unwrap();
        status
    };
    // A MiB is twice the quota of one second.
    assert_eq!(download(1024 * 1024).await, 200);
    assert_eq!(download(1).await, 429);
    advance(Duration::from_secs(1)).await;
    assert_eq!(download(1).await, 429);
    advance(Duration::from_secs(1)).await;
    assert_eq!(download(1).await, 200);
}

/// Sends a request that stays in flight: returns the running call, or the status of its rejection.
macro_rules! hold {
    ($layer:expr, $make:expr) => {{
        let mut request = $make();
        request.extensions_mut().insert(Script::Hang);
        let mut call = Box::pin($layer.layer(Scripted::default()).oneshot(request));
        match poll!(&mut call) {
            std::task::Poll::Pending => Ok(call),
            std::task::Poll::Ready(response) => Err(response.unwrap().status()),
        }
    }};
}

#[tokio::test(start_paused = true)]
async fn the_limits_guide_admits_four_requests_per_address_and_limits_streams_separately() {
    let four = ConcurrencyLimit::new(4).unwrap().reject_as_over_quota();
    let per_client = four
        .per_key(ClientIp::peer(), Missing::Share, 10_000)
        .unwrap();
    let streams = ConcurrencyLimit::new(5_000).unwrap();
    let cases = [("/events", streams)];
    let limits = Choose::by(Route::grpc(), cases, ConcurrencyLimit::new(2).unwrap());
    let per_client = GateLayer::new(per_client);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(hold!(&per_client, || from("192.0.2.1", "k", "/")).unwrap());
    }
    let fifth = hold!(&per_client, || from("192.0.2.1", "k", "/"));
    assert_eq!(fifth.err().unwrap(), 429, "over the client's own limit");
    held.push(hold!(&per_client, || from("192.0.2.2", "k", "/")).unwrap());

    let limits = GateLayer::new(limits);
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(hold!(&limits, || from("192.0.2.1", "k", "/")).unwrap());
    }
    assert_eq!(
        hold!(&limits, || from("192.0.2.1", "k", "/"))
            .err()
            .unwrap(),
        503
    );
    let claims = || {
        let mut request = from("192.0.2.1", "k", "/");
        let events = "text/event-stream".parse().unwrap();
        request.headers_mut().insert("accept", events);
        request
    };
    let claimed = hold!(&limits, claims);
    assert_eq!(
        claimed.err().unwrap(),
        503,
        "a header does not bypass the limit"
    );
    held.push(hold!(&limits, || from("192.0.2.1", "k", "/events")).unwrap());
}

#[tokio::test(start_paused = true)]
async fn each_line_of_a_rejection_can_be_changed() {
    let http = Http::new()
        .status(Kind::Full, StatusCode::TOO_MANY_REQUESTS)
        .grpc_code(Kind::Full, 8)
        .problem_details(false)
        .rate_limit_fields(RateLimitFields::DRAFT_11.and_legacy())
        .name_policy(false);
    let layer = GateLayer::builder(ConcurrencyLimit::new(1).unwrap())
        .protocol(http)
        .build();
    let mut running = Box::pin(
        layer
            .layer(Scripted::default())
            .oneshot(request(Script::Hang)),
    );
    assert!(poll!(&mut running).is_pending());
    let reject = async |request| {
        layer
            .layer(Scripted::default())
            .oneshot(request)
            .await
            .unwrap()
    };

    let rejected = reject(request(Script::Body)).await;
    assert_eq!(rejected.status(), 429);
    for absent in ["content-type", "plimsoll-rejected-by"] {
        assert!(!rejected.headers().contains_key(absent), "{absent}");
    }
    let mut grpc = request(Script::Body);
    *grpc.method_mut() = http::Method::POST;
    grpc.headers_mut()
        .insert("content-type", "application/grpc".parse().unwrap());
    assert_eq!(reject(grpc).await.headers()["grpc-status"], "8");
}

#[tokio::test(start_paused = true)]
async fn a_permit_ends_at_the_head_or_with_the_task_that_owns_the_socket() {
    let limit = ConcurrencyLimit::new(8).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);

    let at_head = service_fn(async |_: Request<()>| {
        let mut response = Response::new(String::from("an event stream"));
        response.extensions_mut().insert(Release::AtHead);
        Ok::<_, std::convert::Infallible>(response)
    });
    let response = layer
        .layer(at_head)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(handle.in_flight(), 0, "the body is still to come");
    drop(response);

    let (handover, claim) = Handover::pair();
    let handover = std::sync::Arc::new(std::sync::Mutex::new(Some(handover)));
    let upgraded = service_fn(move |_: Request<()>| {
        let mut response = Response::new(String::new());
        response
            .extensions_mut()
            .insert(handover.lock().unwrap().take().unwrap());
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    drop(
        layer
            .layer(upgraded)
            .oneshot(Request::new(()))
            .await
            .unwrap(),
    );
    assert_eq!(handle.in_flight(), 1, "the socket is open");
    drop(claim);
    assert_eq!(handle.in_flight(), 0);
}
