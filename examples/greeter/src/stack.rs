//! The stack in front of the greeter: six policies in one gate, and their handles.

use std::time::Duration;

use plimsoll::{
    Deadlines, GateLayer, HeaderKey, Missing, Policy,
    circuit_breaker::{CircuitBreaker, CircuitBreakerHandle},
    concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle},
    fallback::{Fallback, Fixed},
    load_shed::LoadShed,
    rate_limit::{Quota, RateLimit},
    sampling::{Rates, Sampling},
};
use tonic::body::Body;

/// The limits of the greeter.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls per minute and caller, all of which may arrive at once.
    pub reject_as_over_quota: u32,
    /// Concurrent calls, streams included.
    pub at_a_time: usize,
    /// The least time that a call's deadline must leave, such as the 99th percentile of the
    /// greeter.
    pub at_least: Duration,
    /// The number of calls after which the breaker opens, if all of them fail.
    pub failures: u32,
}

/// The handles that `main` and the tests read.
#[derive(Debug, Clone)]
pub struct Handles {
    /// Calls in flight.
    pub concurrency: ConcurrencyLimitHandle,
    /// The breaker's state.
    pub breaker: CircuitBreakerHandle,
}

/// The key of a caller: a metadata entry. Only safe behind a proxy that checks it.
const CALLER: HeaderKey = HeaderKey::from_static("x-caller");

/// Builds one gate of six policies.
///
/// Deadlines come first, since they cost nothing. The caller's own quota comes before the server's
/// capacity. The breaker is last, so that it only sees calls that would run. The fallback does not
/// change rejections of gRPC calls.
///
/// # Errors
///
/// When a limit is zero or too large.
#[allow(clippy::type_complexity)] // a policy made of policies is best left to inference
pub fn stack(
    limits: Limits,
) -> Result<
    (
        GateLayer<impl Policy<http::Request<Body>> + 'static, Fallback<Fixed>>,
        Handles,
    ),
    Box<dyn std::error::Error>,
> {
    let quota = Quota::per_minute(limits.reject_as_over_quota).burst(limits.reject_as_over_quota);
    let rate = RateLimit::new(quota)?.per_key(CALLER, Missing::Share, 10_000)?;
    let concurrency = ConcurrencyLimit::new(limits.at_a_time)?;
    let load = concurrency.handle();
    let shed = LoadShed::new(load.clone()).between(0.9, 1.5)?;
    let breaker = CircuitBreaker::builder()
        .window(limits.failures)
        .min_calls(limits.failures)
        .failure_rate(1.0)
        .open_for(Duration::from_secs(30))
        .build()?;
    let sampling = Sampling::new(load.clone(), Rates::default())?;
    let handles = Handles {
        concurrency: load,
        breaker: breaker.handle(),
    };
    let page = Fallback::answer(http::Response::new("the greeter is busy"));
    let policies = (
        Deadlines::new().at_least(limits.at_least),
        rate,
        concurrency,
        shed,
        sampling,
        breaker,
    );
    Ok((GateLayer::builder(policies).protocol(page).build(), handles))
}
