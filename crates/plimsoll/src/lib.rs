//! Overload protection for Tower, axum and tonic.
//!
//! A Plimsoll line is the mark on a ship's hull that shows how much load it may safely carry. These layers keep a
//! service at that line: what it can do well is let in, the rest is turned away at once, cheaply, politely, least
//! important first, and the person who runs it can see why.
//!
//! This crate holds nothing of its own. It gathers the [core](plimsoll_core), whose items are at its root, and the
//! layers, a module each:
//!
//! | feature | module | what it does |
//! |---|---|---|
//! | `rate-limit` | `rate_limit` | so many requests per period, globally or per key |
//! | `concurrency` | `concurrency` | as many requests in flight as the service can work on, which it finds out, or as you say; a bounded queue |
//! | `load-shed` | `load_shed` | refuses the least important requests as the load rises |
//! | `circuit-breaker` | `circuit_breaker` | stops calling a service that fails, and probes whether it is well again |
//! | `fallback` | `fallback` | a second-best answer in the place of a refusal or a failure |
//! | `sampling` | `sampling` | records less as the load rises |
//! | `metrics` | `metrics` | counters, latency, Prometheus text and health |
//! | `full` | | all of these |
//! | `redis` | `redis` | one rate limit for a fleet, shared through Redis |
//! | `redis-cluster`, `redis-sentinel`, `redis-tls` | | the same in a Redis Cluster, with Sentinel, over TLS |
//! | `call-scope` | | what a handler calls finds the priority and the deadline of its request |
//! | `executor-delay` | | a load signal: how late tokio runs what is ready |
//! | `axum` | | peer address and matched route from where axum puts them; with `concurrency`, a bounded listener |
//! | `load` | | a gate's load for tower's balancers |
//! | `tonic` | | wraps tonic services; peer address from where tonic puts it |
//!
//! None is on by default: who wants one layer compiles one layer.
//!
//! What the layers' crates hold are mostly policies, and a [`GateLayer`] makes one layer of them. Where the compiler says
//! that `Layer` is not implemented for a `Concurrency` or a `RateLimit`, `GateLayer::new(..)` around it is missing.
//!
//! The guides choose with you: [concurrency limits](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/choosing-limits.md),
//! [rate limits](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/rate-limiting.md),
//! [shedding](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/shedding.md). What one caller can cost:
//! [security](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/security.md). What a refusal looks like:
//! [rejections](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/rejections.md). A layer of your own:
//! [policies](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/policies.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub use plimsoll_core::*;

#[cfg(feature = "circuit-breaker")]
#[doc(inline)]
pub use plimsoll_circuit_breaker as circuit_breaker;

#[cfg(feature = "concurrency")]
#[doc(inline)]
pub use plimsoll_concurrency as concurrency;

#[cfg(feature = "fallback")]
#[doc(inline)]
pub use plimsoll_fallback as fallback;

#[cfg(feature = "load-shed")]
#[doc(inline)]
pub use plimsoll_load_shed as load_shed;

#[cfg(feature = "metrics")]
#[doc(inline)]
pub use plimsoll_metrics as metrics;

#[cfg(feature = "rate-limit")]
#[doc(inline)]
pub use plimsoll_rate_limit as rate_limit;

#[cfg(feature = "redis")]
#[doc(inline)]
pub use plimsoll_redis as redis;

#[cfg(feature = "sampling")]
#[doc(inline)]
pub use plimsoll_sampling as sampling;

/// The examples of the README and the guides are tests.
#[cfg(all(doctest, feature = "full"))]
mod guides {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/rejections.md")]
    mod refusals {}
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
}
