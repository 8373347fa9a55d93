//! Overload protection for Tower, axum and tonic.
//!
//! These layers keep a service at its capacity. Requests within the capacity are admitted, the rest
//! is rejected at once and cheaply, least important first, with the time to come back. (A Plimsoll
//! line is the mark on a ship's hull that shows how much load the ship may safely carry.)
//!
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! plimsoll = { version = "0.1", features = ["concurrency", "rate-limit"] }
//! tokio = { version = "1", features = ["full"] }
//! ```
//!
#![cfg_attr(
    all(feature = "concurrency", feature = "rate-limit"),
    doc = "```no_run"
)]
#![cfg_attr(
    not(all(feature = "concurrency", feature = "rate-limit")),
    doc = "```ignore"
)]
//! use axum::{Router, routing::get};
//! use plimsoll::{GateLayer, concurrency::ConcurrencyLimit, rate_limit::{Quota, RateLimit}};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let rate = RateLimit::new(Quota::per_second(1_000).burst(100))?; // what callers may use
//!     let concurrency = ConcurrencyLimit::adaptive(); // measures the capacity of the service
//!     let app = Router::new()
//!         .route("/", get(|| async { "hello" }))
//!         .layer(GateLayer::new((rate, concurrency)));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! `RateLimit` and `ConcurrencyLimit` are *policies*: each admits, queues or rejects a request.
//! `policy.into_layer()` makes a Tower layer of one policy, and a [`GateLayer`] makes one layer of a
//! tuple of up to eight. A tuple is one service with one clock read and one body wrapper; its
//! policies are asked from left to right, and a rejected request has spent nothing in any of them.
//!
//! # Which layer for which problem
//!
//! | problem | module | position | guide |
//! |---|---|---|---|
//! | one caller uses all of the capacity | [`rate_limit`] | at the edge, first | [rate limits](guides::rate_limiting), [keys](guides::keys) |
//! | more requests in flight than the service can work on | [`concurrency`] | in front of what is scarce | [concurrency limits](guides::choosing_limits) |
//! | more work than capacity, with important requests in it | [`load_shed`] | in front of queues and writers | [load shedding](guides::shedding) |
//! | a dependency that hangs or fails | [`circuit_breaker`] | around each client, one per host | [clients](guides::clients) |
//! | retries that keep a failing dependency down | [`client`] | around each client, outside of its gate | [clients](guides::clients) |
//! | an error page where a substitute would do | [`fallback`] | outermost: the protocol of a gate | [rejections](guides::rejections) |
//! | telemetry that costs most under overload | [`sampling`] | innermost, or on ingest routes | [policies](guides::policies) |
//! | a consumer that is slower than its stream | [`stream`] | between producer and consumer, one per connection | [streams](guides::streams), [slow consumers](guides::slow_consumers) |
//! | no figures for rejections, queues and latency | [`metrics`] | an observer of any gate | [operations](guides::operations) |
//! | operators without a view of limits, rejections and breakers | [`dashboard`] | a path of its own, outside of all gates | [operations](guides::operations) |
//! | a caller has the quota once per replica | [`redis`] | at the edge, first | [Redis](guides::redis) |
//!
//! The feature of a module has its name with hyphens: `rate-limit`. In one gate, put policies that
//! are cheap and concern only the caller first, and policies that protect the service last. At this
//! root are the gate and what all layers share:
//!
//! | to | use |
//! |---|---|
//! | limit per caller | a key such as [`ClientIp`], [`ApiKey`] or [`Route`], or [`Keyed`] around any policy |
//! | exempt requests, or choose a policy by request | [`When`], [`Choose`]; `None` of an `Option` admits all |
//! | try a policy without enforcing it | [`Shadow`] |
//! | read priorities and deadlines | [`ByHeader`], [`Deadlines`] |
//! | change what a rejection looks like | [`Http`], or [`Plain`] for services that are not HTTP |
//! | write a policy | [`Policy`] |
//!
//! # Common mistakes
//!
//! - **`.layer(policy)`.** A policy is not a layer: write `.layer(GateLayer::new(policy))`.
//! - **A new policy per `layer()` call.** State lives in the policy value. Make the policy once and
//!   clone the layer: clones share it, and so do all routes of a router.
//! - **No peer address in axum.** [`ClientIp::peer`] needs the feature `axum` and
//!   `into_make_service_with_connect_info::<SocketAddr>()`. Without them all clients share one
//!   limit, and a warning is logged.
//! - **The wrong client address behind a proxy.** [Which constructor behind which
//!   proxy](guides::keys).
//! - **A timeout, CORS or trace layer on the wrong side of the gate.** Layers outside a gate also
//!   see its rejections, layers inside see admitted requests only. In axum the last `.layer` is the
//!   outermost. Timeouts go inside, CORS, compression and traces outside.
//! - **Metrics and health checks behind the gate.** They are needed most while the gate rejects.
//! - **A response that is kept unread**, in a test or a client. A call ends with its response body,
//!   so it holds its slot until then.
//! - **[`Http::new`] around a client.** Use `.protocol(Http::client())`: a 408 of the callee is then
//!   a failure and a 429 an overload.
//!
//! # Features
//!
//! No feature is on by default, so only the layers in use are compiled. The core is always
//! included.
//!
//! | feature | what it adds |
//! |---|---|
//! | `rate-limit` | caps requests per period, globally or per key |
//! | `concurrency` | caps requests in flight at a measured or a fixed limit, with a bounded queue |
//! | `load-shed` | rejects the least important requests as the load rises |
//! | `circuit-breaker` | stops calling a service that fails, and probes for its recovery |
//! | `client` | retries with a budget, hedges and reconnecting streams, for clients |
//! | `fallback` | answers with a substitute instead of a rejection or a failure |
//! | `sampling` | records a smaller share of requests as the load rises |
//! | `stream` | bounded queues with a policy for when they are full, a hub, pipelines |
//! | `metrics` | counters, latency, Prometheus text and health |
//! | `full` | all of the above |
//! | `dashboard` | a live board that the application serves with axum |
//! | `redis` | one rate limit for a fleet, shared through Redis |
//! | `redis-cluster`, `redis-sentinel`, `redis-tls` | Redis Cluster, Redis Sentinel and TLS for `redis` |
//! | `client-reqwest` | `client` for `reqwest::Client` |
//! | `call-scope` | outgoing calls of a handler inherit the priority and the deadline of its request |
//! | `executor-delay` | a load signal: how late tokio polls tasks that are ready |
//! | `axum` | peer address and matched route from axum's extensions; with `concurrency`, a bounded listener; with `stream`, server-sent events and a worker queue |
//! | `websocket` | WebSocket connections with a queue per client |
//! | `stream-listener` | sockets that report a slow client early and end blocked writes |
//! | `tracing` | events of `tracing`: changes of policies and alarms, summaries of rejections, waits, state transitions of circuit breakers, deliveries of server-sent events |
//! | `throttle` | token buckets for streams |
//! | `serde` | quotas and builders in configuration files |
//! | `load` | a gate's load for tower's balancers |
//! | `tonic` | wraps tonic services; peer address from tonic's extensions; with `stream`, gRPC streams |
//!
//! This crate has no logic of its own: it re-exports `plimsoll-core` at its root, and each layer's
//! crate as a module. Examples on the pages of items use the names of those crates. With this crate
//! write `plimsoll::` for `plimsoll_core::`, and `plimsoll::rate_limit::` for
//! `plimsoll_rate_limit::`.
//!
//! # Guides and recipes
//!
//! [Concurrency limits](guides::choosing_limits) · [rate limits](guides::rate_limiting) ·
//! [keys and proxies](guides::keys) · [load shedding](guides::shedding) ·
//! [streams](guides::streams) · [slow consumers](guides::slow_consumers) ·
//! [rejections](guides::rejections) · [Redis](guides::redis) · [security](guides::security) ·
//! [policies and other layers](guides::policies) · [clients](guides::clients) ·
//! [operations](guides::operations) · [tests](guides::testing) ·
//! [migration from tower, `tower_governor`, tower-resilience](guides::migration)
//!
//! The [recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md) are
//! programs of 30 to 90 lines to copy, one for each problem, each with its `curl`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[doc(hidden)]
pub use plimsoll_core::support;
#[doc(inline)]
pub use plimsoll_core::{
    ApiKey, Authority, BearerToken, ByExtension, ByHeader, Choose, Claim, Class, ClientIp, Cost,
    Criticality, Deadline, Deadlines, Gate, GateBuilder, GateLayer, Handover, HeaderKey, Http,
    Instant, InvalidCriticality, InvalidKeyed, InvalidShadow, IpRange, Key, Keyed, KeyedHandle,
    Kind, LoadSignal, Missing, Observe, Outcome, Plain, PlainError, Policy, Priority,
    RateLimitFields, Rejected, Rejection, Release, RequestHead, Route, Same, Shadow, ShadowHandle,
    TraceId, When, Worst, decides_at_once, except_paths, except_preflight, key, labelled,
    not_a_layer, policy, protocol, wire,
};

/// Stops calling a service that fails, and probes for its recovery.
///
/// The crate [`plimsoll-circuit-breaker`](plimsoll_circuit_breaker).
#[cfg(feature = "circuit-breaker")]
pub mod circuit_breaker {
    #[doc(inline)]
    pub use plimsoll_circuit_breaker::*;
}

/// Retries with a budget, hedges, throttling and propagation, for clients of other services.
///
/// The crate [`plimsoll-client`](plimsoll_client).
#[cfg(feature = "client")]
pub mod client {
    #[doc(inline)]
    pub use plimsoll_client::*;
}

/// Limits on requests in flight.
///
/// The crate [`plimsoll-concurrency`](plimsoll_concurrency).
#[cfg(feature = "concurrency")]
pub mod concurrency {
    #[doc(inline)]
    pub use plimsoll_concurrency::*;
}

/// A live board of gates, served by the application itself.
///
/// The crate [`plimsoll-dashboard`](plimsoll_dashboard).
#[cfg(feature = "dashboard")]
pub mod dashboard {
    #[doc(inline)]
    pub use plimsoll_dashboard::*;
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

/// Bounded queues for streams.
///
/// The crate [`plimsoll-stream`](plimsoll_stream).
#[cfg(feature = "stream")]
pub mod stream {
    #[doc(inline)]
    pub use plimsoll_stream::*;
}

// Only rustdoc reads the guides, so programs compile none of them.
#[cfg(all(doc, any(not(doctest), feature = "full")))]
pub mod guides;

/// Runs the example of the repository's README as a test.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../../../README.md")]
mod readme {}
