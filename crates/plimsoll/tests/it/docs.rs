//! Tests of the first example of the README and of two in `docs/policies.md`: each behaves as its
//! text states.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use futures_util::poll;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use plimsoll::{
    ClientIp, Deadlines, GateLayer, Instant, Kind, Missing, Outcome, Policy, Rejection,
    circuit_breaker::CircuitBreaker,
    concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle},
    fallback::{DEGRADED, Fallback, Fixed},
    load_shed::LoadShed,
    policy::Verdict,
    rate_limit::{Quota, RateLimit},
    sampling::{Rates, Sampling},
};
use tokio::time::advance;
use tower::ServiceExt as _;

/// The response, with its body as text.
async fn ask(app: &Router, path: &str, forwarded_for: &str) -> Response<String> {
    let request = Request::get(path).header("x-forwarded-for", forwarded_for);
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.into()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_readmes_first_stack_rejects_with_429_beyond_its_burst_and_admits_again_at_its_rate() {
    let rate = RateLimit::new(Quota::per_second(1_000).burst(100)).unwrap();
    let concurrency = ConcurrencyLimit::adaptive();
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new((rate, concurrency)));

    for _ in 0..100 {
        assert_eq!(ask(&app, "/", "").await.body(), "hello");
    }
    let rejected = ask(&app, "/", "").await;
    assert_eq!(rejected.status(), 429);
    assert_eq!(rejected.headers()["retry-after"], "1");
    assert_eq!(rejected.headers()["plimsoll-rejected-by"], "rate-limit");
    advance(Duration::from_millis(1)).await;
    assert_eq!(ask(&app, "/", "").await.status(), 200, "1,000 a second");
    assert_eq!(ask(&app, "/", "").await.status(), 429);
}

/// The stack of "Put several policies into one gate" in `docs/policies.md`.
#[allow(clippy::type_complexity)] // a policy made of policies is best left to inference
fn fused() -> Result<
    (
        GateLayer<impl Policy<Request<Body>> + 'static, Fallback<Fixed>>,
        ConcurrencyLimitHandle,
    ),
    Box<dyn std::error::Error>,
> {
    let quota = Quota::per_second(50).burst(100);
    let rate = RateLimit::new(quota)?.per_key(ClientIp::behind(1), Missing::Share, 100_000)?;
    let concurrency = ConcurrencyLimit::new(64)?.queue(64, Duration::from_millis(50))?;
    let load = concurrency.handle();
    let shed = LoadShed::new(load.clone()).between(1.0, 1.8)?;
    let sampling = Sampling::new(load.clone(), Rates::default())?;
    let breaker = CircuitBreaker::builder()
        .window(100)
        .failure_rate(0.5)
        .build()?;
    let layer = GateLayer::builder((Deadlines::new(), rate, shed, concurrency, sampling, breaker))
        .protocol(Fallback::answer(Response::new("a house ad")))
        .build();
    Ok((layer, load))
}

async fn hang() -> &'static str {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn the_fused_stack_limits_each_client_by_itself() {
    let (layer, _) = fused().unwrap();
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(layer);
    for _ in 0..100 {
        assert_eq!(ask(&app, "/", "192.0.2.1").await.body(), "hello");
    }
    let rejected = ask(&app, "/", "192.0.2.1").await;
    assert_eq!(
        rejected.status(),
        429,
        "a client over its quota gets no house ad"
    );
    assert!(!rejected.headers().contains_key(DEGRADED));
    assert_eq!(ask(&app, "/", "192.0.2.2").await.body(), "hello");
    advance(Duration::from_millis(20)).await;
    assert_eq!(
        ask(&app, "/", "192.0.2.1").await.body(),
        "hello",
        "50 a second"
    );
}

#[tokio::test(start_paused = true)]
async fn the_fused_stack_answers_with_a_house_ad_when_it_is_full_and_its_limit_can_be_raised() {
    let (layer, load) = fused().unwrap();
    let app: &Router = &Router::new().route("/", get(hang)).layer(layer);
    let asked_by = |client: String| Box::pin(async move { ask(app, "/", &client).await });
    // Each request comes from another client. Sampling answers more of them with 202 as the load
    // rises.
    let mut clients = (1_u32..5_000).map(|n| std::net::Ipv4Addr::from(n).to_string());
    let mut held = Vec::new();
    while load.in_flight() < 64 {
        let client = clients.next().expect("64 of thousands are admitted");
        let mut call = asked_by(client);
        if let std::task::Poll::Ready(answer) = poll!(&mut call) {
            assert_eq!(answer.status(), 202);
        } else {
            held.push(call);
        }
    }

    // Full: requests beyond the queue are answered at once, queued ones within 50 ms.
    let (mut queued, mut at_once) = (Vec::new(), 0);
    for client in clients.by_ref().take(200) {
        let mut call = asked_by(client);
        match poll!(&mut call) {
            std::task::Poll::Pending => queued.push(call),
            std::task::Poll::Ready(answer) => {
                assert_eq!(
                    (answer.status().as_u16(), &**answer.body()),
                    (200, "a house ad")
                );
                assert!(answer.headers().contains_key(DEGRADED));
                at_once += 1;
            }
        }
        assert!(load.in_flight() == 64 && load.queued() <= 64);
    }
    assert_eq!(
        (queued.len(), at_once),
        (load.queued(), 200 - load.queued())
    );
    assert!(!queued.is_empty() && at_once > 0);
    advance(Duration::from_millis(51)).await;
    for call in queued {
        assert_eq!(call.await.body(), "a house ad");
    }

    load.set_limit(128).unwrap();
    while load.in_flight() < 128 {
        let client = clients.next().expect("64 more of thousands are admitted");
        let mut call = asked_by(client);
        if poll!(&mut call).is_pending() {
            held.push(call);
        }
    }
}

/// The smallest policy of `docs/policies.md`.
#[derive(Default)]
struct Maintenance {
    on: AtomicBool,
}

impl<Req> Policy<Req> for Maintenance {
    type Permit = ();
    plimsoll::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _now: Instant) -> Verdict<(), Infallible> {
        if self.on.load(Relaxed) {
            Verdict::Reject(Rejection::new("maintenance", Kind::Full))
        } else {
            Verdict::Admit(())
        }
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

#[tokio::test]
async fn the_smallest_policy_rejects_everything_while_the_switch_is_on() {
    let layer = GateLayer::new(Maintenance::default());
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(layer.clone());
    for on in [false, true, false] {
        layer.policy().on.store(on, Relaxed);
        let answer = ask(&app, "/", "").await;
        assert_eq!(answer.status(), if on { 503 } else { 200 });
        let by = answer
            .headers()
            .get("plimsoll-rejected-by")
            .map(|by| by.to_str().unwrap());
        assert_eq!(by, on.then_some("maintenance"));
    }
}
