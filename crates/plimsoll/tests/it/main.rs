//! All layers in one stack of the facade: fused into one gate, under axum, with metrics.

mod docs;
mod figures;
mod guides;
mod law_12;
mod laws;
mod layers;
#[cfg(all(
    feature = "stream-listener",
    feature = "throttle",
    feature = "tonic",
    feature = "websocket"
))]
mod observability;
mod packaged;

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use plimsoll::{
    Class, GateLayer, Kind, Missing,
    circuit_breaker::CircuitBreaker,
    concurrency::ConcurrencyLimit,
    fallback::{DEGRADED, Fallback},
    load_shed::LoadShed,
    metrics::Metrics,
    rate_limit::{Quota, RateLimit},
    sampling::{Rates, Sampling},
};
use tower::ServiceExt;

/// Rejects the third request of a publisher, and counts.
fn app(metrics: &Metrics) -> Result<Router, Box<dyn std::error::Error>> {
    let publisher = |req: &Request<Body>| req.headers().get("x-publisher").cloned();
    let quota = Quota::per_minute(60).burst(2);
    let rate = RateLimit::new(quota)?.per_key(publisher, Missing::Share, 1000)?;
    let concurrency = ConcurrencyLimit::new(64)?.queue(128, Duration::from_millis(50))?;
    let load = concurrency.handle();
    let shed = LoadShed::new(load.clone()).between(0.7, 0.95)?;
    let breaker = CircuitBreaker::builder().build()?;
    let sampling = Sampling::new(
        load.clone(),
        Rates {
            base: 1.0,
            min: 0.1,
            threshold: 0.7,
        },
    )?;
    let fallback = Fallback::answer(Response::new("a house ad")).on_kind(Kind::OverQuota, true);

    metrics.load("auction", load)?;
    let gate = metrics
        .gate("auction")
        .expecting("rate-limit", Kind::OverQuota);
    let layer = GateLayer::builder((rate, shed, concurrency, breaker, sampling))
        .protocol(fallback)
        .observe(gate)
        .build();
    Ok(Router::new()
        .route("/ad", get(|| async { "an ad" }))
        .layer(layer)
        .route_service("/metrics", metrics.service())
        .route_service("/health/load", metrics.service()))
}

async fn ask(app: &Router, path: &str) -> Response<String> {
    let request = Request::get(path)
        .header("x-publisher", "7")
        .body(Body::empty())
        .unwrap();
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.into()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn all_layers_in_one_gate_admit_reject_substitute_and_count() {
    let metrics = Metrics::new();
    let app = app(&metrics).unwrap();
    for _ in 0..2 {
        let ad = ask(&app, "/ad").await;
        assert_eq!((ad.status(), &**ad.body()), (StatusCode::OK, "an ad"));
        assert!(!ad.headers().contains_key(DEGRADED));
    }
    let instead = ask(&app, "/ad").await;
    assert_eq!(instead.body(), "a house ad");
    assert!(instead.headers().contains_key(DEGRADED));

    let counts = metrics.gate("auction").counts();
    assert_eq!((counts.admitted, counts.finished(Class::Success)), (2, 2));
    assert_eq!((counts.rejected(), counts.in_flight()), (1, 0));

    let text = ask(&app, "/metrics").await.into_body();
    let refused =
        r#"plimsoll_rejected_total{gate="auction",policy="rate-limit",kind="over-quota"} 1"#;
    assert!(text.contains(refused), "{text}");
    let health = ask(&app, "/health/load").await;
    assert_eq!(health.status(), StatusCode::OK);
    assert!(
        health.body().contains(r#""auction":0.0"#),
        "{}",
        health.body()
    );
}
