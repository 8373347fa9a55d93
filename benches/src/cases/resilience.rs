//! The members of `tower-resilience`.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, load_shed::LoadShed};
use tower_resilience_adaptive::{AdaptiveLimiterLayer, AdaptiveService, Aimd};
use tower_resilience_bulkhead::{Bulkhead, BulkheadConfigBuilder, BulkheadLayer};
use tower_resilience_circuitbreaker::{CircuitBreaker, CircuitBreakerLayer, DefaultClassifier};
use tower_resilience_fallback::{Fallback, FallbackLayer};
use tower_resilience_ratelimiter::{RateLimiter, RateLimiterLayer};
use tower_resilience_timelimiter::TimeLimiterLayer;

use super::{
    Case, Empty,
    bare::{Bare, HTTP},
    case::{occupied, spent},
};

type Inner = Bare<Full<Bytes>>;

/// Long enough that nothing recovers during a measurement.
const HOUR: Duration = Duration::from_secs(3600);

/// The cases of `tower-resilience`.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("tower-resilience/circuitbreaker@accept", HTTP, || {
            breaker(false)
        }),
        Case::new("tower-resilience/circuitbreaker@reject", HTTP, || {
            breaker(true)
        }),
        Case::new("tower-resilience/bulkhead@accept", HTTP, || {
            bulkhead(1024, BulkheadConfigBuilder::reject_when_full)
        }),
        Case::slow("tower-resilience/bulkhead@reject", HTTP, || {
            occupied(bulkhead(1, BulkheadConfigBuilder::reject_when_full))
        }),
        Case::new(
            "tower-resilience/bulkhead-backpressure@accept",
            HTTP,
            || bulkhead(1024, BulkheadConfigBuilder::backpressure),
        ),
        Case::new(
            "tower-resilience/load-shed+bulkhead-backpressure@reject",
            HTTP,
            || {
                occupied(LoadShed::new(bulkhead(
                    1,
                    BulkheadConfigBuilder::backpressure,
                )))
            },
        ),
        Case::new("tower-resilience/ratelimiter@accept", HTTP, || {
            rate_limiter(usize::MAX, Duration::from_secs(1))
        }),
        Case::new("tower-resilience/ratelimiter@reject", HTTP, || {
            spent(HTTP, rate_limiter(1, HOUR))
        }),
        Case::new("tower-resilience/fallback@accept", HTTP, || {
            fallback(Inner::OK)
        }),
        Case::new("tower-resilience/fallback@reject", HTTP, || {
            fallback(Inner::FAILING)
        }),
        Case::new("tower-resilience/adaptive-aimd@accept", HTTP, || {
            adaptive(1024)
        }),
        Case::new(
            "tower-resilience/load-shed+adaptive-aimd@reject",
            HTTP,
            || occupied(LoadShed::new(adaptive(1))),
        ),
        Case::new("tower-resilience/timelimiter@accept", HTTP, || {
            TimeLimiterLayer::builder()
                .timeout_duration(HOUR)
                .build()
                .layer(Inner::OK)
        }),
    ]
}

fn breaker(open: bool) -> CircuitBreaker<Inner, DefaultClassifier> {
    let (layer, handle) = CircuitBreakerLayer::builder()
        .wait_duration_in_open(HOUR)
        .build_with_handle()
        .expect("the defaults are valid");
    if open {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime
            .expect("a runtime without drivers")
            .block_on(handle.force_open());
    }
    layer.layer(Inner::OK)
}

fn bulkhead(
    limit: usize,
    mode: fn(BulkheadConfigBuilder) -> BulkheadConfigBuilder,
) -> Bulkhead<Inner> {
    let builder = mode(BulkheadLayer::builder().max_concurrent_calls(limit));
    builder
        .build()
        .expect("the limit is not zero")
        .layer(Inner::OK)
}

fn rate_limiter(limit: usize, period: Duration) -> RateLimiter<Inner> {
    RateLimiterLayer::builder()
        .limit_for_period(limit)
        .refresh_period(period)
        .timeout_duration(Duration::ZERO)
        .build()
        .expect("neither is zero")
        .layer(Inner::OK)
}

fn fallback(inner: Inner) -> Fallback<Inner, Request<Empty>, Response<Full<Bytes>>, Infallible> {
    FallbackLayer::builder()
        .value_fn(|| Response::new(Full::from("a house ad")))
        .handle_response(|response: &Response<_>| {
            response.status() == StatusCode::INTERNAL_SERVER_ERROR
        })
        .build()
        .layer(inner)
}

fn adaptive(limit: usize) -> AdaptiveService<Inner, Aimd> {
    let algorithm = Aimd::builder()
        .initial_limit(limit)
        .min_limit(1)
        .max_limit(limit)
        .build();
    AdaptiveLimiterLayer::new(algorithm.expect("the limits are in order")).layer(Inner::OK)
}
