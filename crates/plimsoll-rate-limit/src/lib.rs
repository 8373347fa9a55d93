//! Rate limiting for Tower services: so many requests per period, globally or per key.
//!
//! Callers over their quota are refused at once with 429 (gRPC: `RESOURCE_EXHAUSTED`) and the exact time to come back;
//! nobody is made to wait, and a refused request has spent nothing.
//!
//! # Example
//!
//! ```
//! use plimsoll_core::{ClientIp, GateLayer, Kind, Missing};
//! use plimsoll_rate_limit::{Quota, RateLimit, RateLimitLayer};
//!
//! // One limit for everybody, as a layer of its own:
//! let layer = RateLimitLayer::new(RateLimit::new(Quota::per_second(1000).burst(200))?);
//!
//! // One per client address, telling callers their quota, fused with other policies:
//! let per_client = RateLimit::new(Quota::per_minute(60).burst(10).named("per-client"))?
//!     .per_key(|req: &http::Request<()>| req.headers().get("x-client").cloned(), Missing::Share, 100_000)?;
//! # let concurrency = ();
//! let stack = GateLayer::new((per_client, concurrency));
//! # let _: (RateLimitLayer, _) = (layer, stack);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Choosing values
//!
//! [`Quota::burst`] is how much a caller may do after a pause. The smoothest limit has a burst of 1; one that counts
//! like "100 per minute" has the whole count, which is the default, and lets a greedy caller have 199 requests in its worst
//! minute. Ten or so is right for most APIs.
//!
//! # When not to use it
//!
//! A quota says what a caller may have, not what the server can do. Against overload use a concurrency limit or load
//! shedding, which know. A quota is kept per process: behind ten replicas a caller has ten times as much.
//!
//! # Errors
//!
//! [`InvalidQuota`] and the others named `Invalid`, all at construction or when a setting is changed.
//! Nothing here panics.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod calendar;
mod cell;
mod cost;
mod error;
mod gcra;
mod give_back;
mod handle;
mod hints;
mod keyed;
mod lanes;
mod layer;
mod leaky_bucket;
mod quota;
mod rate_limit;
mod refunds;
mod settings;
mod share;
mod sliding_log;
mod sync;
mod terms;
mod warm_up;
mod window;
mod word;

pub use self::{
    calendar::CalendarUnit,
    cost::{One, Weigh},
    error::{InvalidKeyedRateLimit, InvalidQuota, InvalidWarmUp},
    give_back::GiveBack,
    handle::RateLimitHandle,
    keyed::{KeyedRateLimit, KeyedRateLimitHandle, KeyedRateLimitPermit, LimitKey},
    layer::{KeyedRateLimitLayer, RateLimitLayer},
    leaky_bucket::{
        InvalidLeakyBucket, LeakyBucket, LeakyBucketHandle, LeakyBucketLayer, LeakyBucketPermit,
        LeakyBucketWait,
    },
    quota::Quota,
    rate_limit::{RateLimit, RateLimitPermit},
    sliding_log::{
        InvalidSlidingLog, SlidingLog, SlidingLogHandle, SlidingLogLayer, SlidingLogPermit,
    },
    warm_up::WarmUp,
};
