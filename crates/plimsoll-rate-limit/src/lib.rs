//! Rate limiting for Tower services: a number of requests per period, for all callers or per key.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::rate_limit`.
//!
//! Requests over the quota are rejected at once with 429 (gRPC: `RESOURCE_EXHAUSTED`) and the exact
//! time until a retry is admitted. A request is never queued (except by [`LeakyBucket`]), and a
//! rejected request takes nothing.
//!
//! # Example: one layer
//!
//! ```
//! use axum::{Router, routing::get};
//! use plimsoll_rate_limit::{Quota, RateLimit};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // 1,000 requests per second for all callers together, up to 200 at once.
//!     let limit = RateLimit::new(Quota::per_second(1000).burst(200))?;
//!     let app = Router::<()>::new()
//!         .route("/", get(|| async { "hello" }))
//!         .layer(limit.into_layer());
//!     Ok(())
//! }
//! ```
//!
//! # Example: several policies in one gate
//!
//! A tuple of policies is one policy. It is faster than one layer per policy: the gate reads the
//! clock once and wraps the response body once.
//!
//! ```
//! use axum::{Router, routing::get};
//! use plimsoll_core::{ClientIp, GateLayer, Missing};
//! use plimsoll_rate_limit::{Quota, RateLimit};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let all = RateLimit::new(Quota::per_second(1000).burst(200))?;
//!     // Per client address, reported to callers in the `RateLimit` header fields.
//!     let quota = Quota::per_minute(60).burst(10).named("per-client");
//!     let per_client = RateLimit::new(quota)?.per_key(ClientIp::peer(), Missing::Share, 100_000)?;
//!     let app = Router::<()>::new()
//!         .route("/", get(|| async { "hello" }))
//!         .layer(GateLayer::new((per_client, all)));
//!     Ok(())
//! }
//! ```
//!
//! # Choosing values
//!
//! [`Quota::burst`] is the number of requests that a caller may send at once after a pause. A burst
//! of 1 is the smoothest limit. The default is the whole count ("100 per minute" may be sent at
//! once); a greedy caller then gets up to 199 requests into one minute. A burst of about 10 suits
//! most APIs.
//!
//! # When not to use it
//!
//! A quota is a fixed share per caller. It does not follow the capacity of the server. Against
//! overload use a concurrency limit or load shedding. A quota is kept per process: behind ten
//! replicas a caller gets ten times the quota.
//!
//! # Features
//!
//! `serde` (off by default): [`Quota`], [`WarmUp`] and [`RateLimitBuilder`] in configuration files.
//!
//! # Errors
//!
//! [`InvalidQuota`] and the other types named `Invalid...`: at construction, or when a setting is
//! changed. The limits themselves never panic.
//!
//! # Recipes
//!
//! Programs to copy: [per client IP behind a
//! proxy](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/rate_limit_per_ip.rs),
//! [plans by API
//! key](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/plans_by_api_key.rs),
//! [limits per
//! route](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/limits_per_route.rs),
//! [quotas changed at run
//! time](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/live_retuning.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod bounds;
mod builder;
mod calendar;
mod cell;
mod cost;
mod error;
mod figures;
mod gcra;
mod handle;
mod hints;
mod keyed;
mod layer;
mod leaky_bucket;
mod leases;
mod quota;
mod rate_limit;
mod refund;
mod refunds;
mod settings;
mod share;
mod sliding_log;
mod state;
mod sync;
mod terms;
mod token;
mod warm_up;
mod window;
mod word;

pub use self::{
    builder::{InvalidRateLimit, RateLimitBuilder},
    calendar::CalendarUnit,
    cost::{One, RequestCost},
    error::{InvalidKeyedRateLimit, InvalidQuota, InvalidWarmUp},
    handle::RateLimitHandle,
    keyed::{KeyedRateLimit, KeyedRateLimitHandle, KeyedRateLimitPermit, LimitKey},
    layer::{KeyedRateLimitLayer, RateLimitLayer},
    leaky_bucket::{
        InvalidLeakyBucket, LeakyBucket, LeakyBucketHandle, LeakyBucketLayer, LeakyBucketPermit,
        LeakyBucketWait,
    },
    quota::{ParseQuotaError, Quota},
    rate_limit::{RateLimit, RateLimitPermit},
    refund::Refund,
    sliding_log::{
        InvalidSlidingLog, SlidingLog, SlidingLogHandle, SlidingLogLayer, SlidingLogPermit,
    },
    warm_up::WarmUp,
};
