//! Five gates, and the load on them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use http_body_util::BodyExt;
use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::GateLayer;
use plimsoll_dashboard::{Control, Dashboard, Input};
use plimsoll_metrics::{Alarm, Metrics};
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::{sync::Semaphore, time::Instant};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

type Service = BoxCloneService<Request<Body>, (), Infallible>;

/// A dependency: calls at one time, median latency, and the share of failures by the time.
struct Dependency {
    places: Semaphore,
    latency: Duration,
    failing: fn(u64) -> f64,
    start: Instant,
}

impl Dependency {
    fn service(
        calls: usize,
        millis: u64,
        failing: fn(u64) -> f64,
    ) -> impl tower::Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static {
        let dependency = Arc::new(Self {
            places: Semaphore::new(calls),
            latency: Duration::from_millis(millis),
            failing,
            start: Instant::now(),
        });
        service_fn(move |_| {
            let dependency = Arc::clone(&dependency);
            async move { Ok(dependency.call().await) }
        })
    }

    async fn call(&self) -> Response<Body> {
        let _place = self.places.acquire().await;
        // Log-normal enough: the slowest of a hundred takes several times the median.
        let spread = 0.6 + 0.5 * fastrand::f64() + 2.5 * fastrand::f64().powi(20);
        tokio::time::sleep(self.latency.mul_f64(spread)).await;
        let failed = fastrand::f64() < (self.failing)(self.start.elapsed().as_secs());
        let mut response = Response::new(Body::from("ok"));
        if failed {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        response
    }
}

/// A service whose responses are read to their end: a call ends with its body.
fn calls<S, B>(service: S) -> Service
where
    S: tower::Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send> + Send + 'static,
{
    BoxCloneService::new(service.and_then(|response: Response<B>| async move {
        _ = response.into_body().collect().await;
        Ok(())
    }))
}

/// Sends requests at a rate per second, by the seconds since the start.
fn load(service: Service, rate: fn(u64) -> f64) {
    tokio::spawn(async move {
        let start = Instant::now();
        let mut due = 0.0;
        let mut timer = tokio::time::interval(Duration::from_millis(10));
        loop {
            timer.tick().await;
            due += rate(start.elapsed().as_secs()) * 0.01 * (0.5 + fastrand::f64());
            while due >= 1.0 {
                due -= 1.0;
                let service = service.clone();
                tokio::spawn(async move {
                    let Ok(()) = service.oneshot(Request::new(Body::empty())).await;
                });
            }
        }
    });
}

/// Starts the gates and their load.
pub(crate) fn start() -> Result<(Metrics, Dashboard), Box<dyn std::error::Error>> {
    let metrics = Metrics::new();
    metrics.alarm(Alarm::breaker_open())?;

    let search = ConcurrencyLimit::new(40)?;
    metrics.watch("search", search.handle())?;
    let gate = GateLayer::builder(search)
        .observe(metrics.gate("search"))
        .build();
    let inner = Dependency::service(100, 12, |_| 0.0);
    load(calls(gate.layer(inner)), |second| {
        220.0 + 80.0 * (second as f64 / 9.0).sin()
    });

    let edge = RateLimit::new(Quota::per_second(150).burst(20))?;
    metrics.watch("edge", edge.handle())?;
    let gate = GateLayer::builder(edge)
        .observe(metrics.gate("edge"))
        .build();
    let inner = Dependency::service(100, 4, |_| 0.0);
    load(calls(gate.layer(inner)), |second| {
        if second % 20 < 6 { 180.0 } else { 110.0 }
    });

    let checkout = ConcurrencyLimit::adaptive().queue(30, Duration::from_millis(300))?;
    let checkout_handle = checkout.handle();
    metrics.watch("checkout", checkout.handle())?;
    metrics.load("checkout", checkout.handle())?;
    let gate = GateLayer::builder(checkout)
        .observe(metrics.gate("checkout"))
        .build();
    let inner = Dependency::service(8, 25, |_| 0.002);
    load(calls(gate.layer(inner)), |second| {
        if second % 24 < 10 { 460.0 } else { 160.0 }
    });

    let breaker = CircuitBreaker::builder()
        .window(50)
        .failure_rate(0.5)
        .open_for(Duration::from_secs(8))
        .build()?;
    let breaker_handle = breaker.handle();
    metrics.watch("exchange: bids.example.com", breaker.handle())?;
    let gate = GateLayer::builder(breaker)
        .observe(metrics.gate("exchange: bids.example.com"))
        .build();
    let inner = Dependency::service(100, 30, |second| if second % 30 < 12 { 0.8 } else { 0.01 });
    load(calls(gate.layer(inner)), |_| 60.0);

    metrics.gate("nightly reports");

    let states: &[&str] = &["automatic", "open", "closed"];
    let board = Dashboard::new(&metrics)
        // A real service checks a session or a client certificate here.
        .writable(|_| true)
        .action(
            "checkout",
            "pin the limit",
            Control::Number(1.0..=500.0),
            move |input| match input {
                Input::Number(to) => checkout_handle
                    .pin(to as usize)
                    .map_err(|error| error.to_string()),
                _ => Ok(()),
            },
        )
        .action(
            "exchange: bids.example.com",
            "circuit",
            Control::Choice(states),
            move |input| {
                match input {
                    Input::Choice("open") => breaker_handle.force_open(),
                    Input::Choice("closed") => breaker_handle.force_closed(),
                    _ => breaker_handle.automatic(),
                }
                Ok(())
            },
        );
    Ok((metrics, board))
}
