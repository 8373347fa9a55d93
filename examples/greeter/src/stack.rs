//! The stack in front of the greeter: six layers in one gate, and the handles to turn and read them.

use std::time::Duration;

use plimsoll::{
    Deadlines, GateLayer, HeaderKey, Missing, Policy,
    circuit_breaker::{BreakerHandle, CircuitBreaker},
    concurrency::{Concurrency, ConcurrencyHandle},
    fallback::{Fallback, Fixed},
    load_shed::LoadShed,
    rate_limit::{Quota, RateLimit},
    sampling::{Rates, Sampling},
};
use tonic::body::Body;

/// How much the greeter takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls a minute and caller, all at once if need be.
    pub per_caller: u32,
    /// Calls at a time, streams included.
    pub at_a_time: usize,
    /// The least time a call's deadline must leave it: the greeter's 99th percentile, say.
    pub at_least: Duration,
    /// Failures that open the breaker, of as many calls.
    pub failures: u32,
}

/// What the tests and `main` look at.
#[derive(Debug, Clone)]
pub struct Handles {
    /// Calls in flight.
    pub concurrency: ConcurrencyHandle,
    /// The breaker's state.
    pub breaker: BreakerHandle,
}

/// The caller names itself in the metadata; behind something that checks it, that is a key.
const CALLER: HeaderKey = HeaderKey::from_static("x-caller");

/// One gate for all of it: deadlines first, since they cost nothing; the caller's own quota before the server's
/// capacity; the breaker last, so that it only sees calls that would run. Refusals of gRPC calls pass the fallback as they are.
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
    let quota = Quota::per_minute(limits.per_caller).burst(limits.per_caller);
    let rate = RateLimit::keyed(quota, CALLER, Missing::Share, 10_000)?;
    let concurrency = Concurrency::new(limits.at_a_time)?;
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
