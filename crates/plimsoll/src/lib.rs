//! Overload protection for Tower, axum and tonic.
//!
//! A Plimsoll line is the mark on a ship's hull that shows how much load the ship may safely carry.
//! These layers keep a service at its capacity: work within the capacity is admitted, the rest is
//! rejected at once, cheaply, least important requests first, and metrics show why.
//!
//! This crate has no logic of its own. It re-exports the [core](plimsoll_core) at its root, and
//! each layer's crate as a module. [`policy`] and [`protocol`] are for authors of policies and
//! protocols.
//!
//! | feature | module | what it does |
//! |---|---|---|
//! | `rate-limit` | `rate_limit` | caps requests per period, globally or per key |
//! | `concurrency` | `concurrency` | caps requests in flight at a measured or a fixed limit, with a bounded queue |
//! | `load-shed` | `load_shed` | rejects the least important requests as the load rises |
//! | `circuit-breaker` | `circuit_breaker` | stops calling a service that fails, and probes for its recovery |
//! | `fallback` | `fallback` | answers with a substitute instead of a rejection or a failure |
//! | `sampling` | `sampling` | records a smaller share of requests as the load rises |
//! | `metrics` | `metrics` | counters, latency, Prometheus text and health |
//! | `full` | | all of these |
//! | `redis` | `redis` | one rate limit for a fleet, shared through Redis |
//! | `redis-cluster`, `redis-sentinel`, `redis-tls` | | Redis Cluster, Redis Sentinel and TLS for `redis` |
//! | `call-scope` | | outgoing calls of a handler inherit the priority and the deadline of its request |
//! | `executor-delay` | | a load signal: how late tokio polls tasks that are ready |
//! | `axum` | | peer address and matched route from axum's extensions; with `concurrency`, a bounded listener |
//! | `load` | | a gate's load for tower's balancers |
//! | `tonic` | | wraps tonic services; peer address from tonic's extensions |
//!
//! No feature is on by default, so only the layers in use are compiled.
//!
//! Most layers' crates export policies. `policy.into_layer()` makes a layer of one, and a
//! [`GateLayer`] makes one layer of several, which is faster than a layer for each.
//!
//! Guides: [concurrency
//! limits](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/choosing-limits.md),
//! [rate limits](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/rate-limiting.md),
//! [shedding](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/shedding.md),
//! [what one caller can cost](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/security.md),
//! [the format of rejections](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/rejections.md),
//! [custom policies](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/policies.md),
//! [clients](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/clients.md),
//! [operations](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/operations.md),
//! [tests](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/testing.md),
//! [migration](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/migration.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[doc(hidden)]
pub use plimsoll_core::support;
#[doc(inline)]
pub use plimsoll_core::{
    ApiKey, Authority, BearerToken, ByExtension, ByHeader, Choose, Claim, Class, ClientIp, Cost,
    Criticality, Deadline, Deadlines, Gate, GateBuilder, GateLayer, Handover, HeaderKey, Http,
    Instant, InvalidCriticality, InvalidKeyed, IpRange, Key, Keyed, KeyedHandle, Kind, LoadSignal,
    Missing, Observe, Outcome, Plain, PlainError, Policy, Priority, RateLimitAdvice,
    RateLimitFields, Rejected, Rejection, Release, RequestHead, Route, Same, Shadow, ShadowHandle,
    TraceId, When, Worst, decides_at_once, except_paths, except_preflight, key, not_a_layer,
    policy, protocol, wire,
};

/// Stops calling a service that fails, and probes for its recovery.
///
/// The crate [`plimsoll-circuit-breaker`](plimsoll_circuit_breaker).
#[cfg(feature = "circuit-breaker")]
pub mod circuit_breaker {
    #[doc(inline)]
    pub use plimsoll_circuit_breaker::*;
}

/// Limits on requests in flight.
///
/// The crate [`plimsoll-concurrency`](plimsoll_concurrency).
#[cfg(feature = "concurrency")]
pub mod concurrency {
    #[doc(inline)]
    pub use plimsoll_concurrency::*;
}

/// Substitutes for rejections, failures and errors.
///
/// The crate [`plimsoll-fallback`](plimsoll_fallback).
#[cfg(feature = "fallback")]
pub mod fallback {
    #[doc(inline)]
    pub use plimsoll_fallback::*;
}

/// Load shedding by priority.
///
/// The crate [`plimsoll-load-shed`](plimsoll_load_shed).
#[cfg(feature = "load-shed")]
pub mod load_shed {
    #[doc(inline)]
    pub use plimsoll_load_shed::*;
}

/// Counters, latency and health of gates.
///
/// The crate [`plimsoll-metrics`](plimsoll_metrics).
#[cfg(feature = "metrics")]
pub mod metrics {
    #[doc(inline)]
    pub use plimsoll_metrics::*;
}

/// Limits on requests per period.
///
/// The crate [`plimsoll-rate-limit`](plimsoll_rate_limit).
#[cfg(feature = "rate-limit")]
pub mod rate_limit {
    #[doc(inline)]
    pub use plimsoll_rate_limit::*;
}

/// One rate limit for a fleet, shared through Redis.
///
/// The crate [`plimsoll-redis`](plimsoll_redis).
#[cfg(feature = "redis")]
pub mod redis {
    #[doc(inline)]
    pub use plimsoll_redis::*;
}

/// Load-adaptive sampling.
///
/// The crate [`plimsoll-sampling`](plimsoll_sampling).
#[cfg(feature = "sampling")]
pub mod sampling {
    #[doc(inline)]
    pub use plimsoll_sampling::*;
}

/// Runs the examples of the README and the guides as tests.
#[cfg(all(doctest, feature = "full"))]
mod guides {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/rejections.md")]
    mod rejections {}
    #[cfg(feature = "redis")]
    #[doc = include_str!("../../../docs/rate-limiting.md")]
    mod rate_limiting {}
    #[doc = include_str!("../../../docs/keys.md")]
    mod keys {}
    #[cfg(all(feature = "redis-cluster", feature = "redis-sentinel"))]
    #[doc = include_str!("../../../docs/redis.md")]
    mod redis {}
    #[cfg(feature = "axum")]
    #[doc = include_str!("../../../docs/security.md")]
    mod security {}
    #[doc = include_str!("../../../docs/policies.md")]
    mod policies {}
    #[doc = include_str!("../../../docs/shedding.md")]
    mod shedding {}
    #[doc = include_str!("../../../docs/choosing-limits.md")]
    mod choosing_limits {}
    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../../docs/migration.md")]
    mod migration {}
    #[doc = include_str!("../../../docs/clients.md")]
    mod clients {}
    #[doc = include_str!("../../../docs/operations.md")]
    mod operations {}
}
