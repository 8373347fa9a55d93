//! Limits on requests in flight for Tower services.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::concurrency`.
//!
//! [`ConcurrencyLimit`] admits a number of requests at a time: a fixed number, or one that
//! [adapts](ConcurrencyLimit::adaptive) to the service. Excess requests are rejected at once, or
//! wait in a queue that is bounded in length and time. So latency stays flat under overload, and a
//! database, a pool or a licence of known width is protected.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response};
//! use plimsoll_concurrency::{ConcurrencyLimit, InvalidConcurrencyLimit};
//! use tower::{Layer, service_fn};
//!
//! async fn hello(_: Request<String>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello".to_owned()))
//! }
//!
//! fn main() -> Result<(), InvalidConcurrencyLimit> {
//!     // 64 requests at a time; up to 128 more are queued, each for at most 50 ms.
//!     let limit = ConcurrencyLimit::new(64)?.queue(128, Duration::from_millis(50))?;
//!     let handle = limit.handle();
//!     let service = limit.into_layer().layer(service_fn(hello));
//!     // The handle changes the limit at run time.
//!     handle.set_limit(96)?;
//! #   let _ = service;
//!     Ok(())
//! }
//! ```
//!
//! A rejection is an HTTP response with status 503 and `retry-after`, or its gRPC equivalent.
//!
//! # Several policies in one gate
//!
//! Layers stack as usual in tower. A tuple of policies in one
//! [`GateLayer`](plimsoll_core::GateLayer) is the faster form: one clock read, one guard and one
//! body wrapper for all of them. The first policy decides first.
//!
//! ```
//! use plimsoll_concurrency::ConcurrencyLimit;
//! use plimsoll_core::{ClientIp, GateLayer, Missing};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // At most 4 requests of one client, and an adaptive number in total.
//! let each = ConcurrencyLimit::new(4)?.reject_as_over_quota();
//! let per_client = each.per_key(ClientIp::peer(), Missing::Share, 10_000)?;
//! let total = ConcurrencyLimit::adaptive();
//! let layer = GateLayer::new((per_client, total));
//! # let _: GateLayer<_> = layer;
//! # Ok(())
//! # }
//! ```
//!
//! # Which to choose
//!
//! | to | use |
//! |---|---|
//! | reject at once when full, for callers that can go elsewhere | [`ConcurrencyLimit::new`] |
//! | find the limit by measurement | [`ConcurrencyLimit::adaptive`] |
//! | smooth bursts that are shorter than the longest wait | [`ConcurrencyLimit::queue`] |
//! | serve the newest waiter first, always or [while the queue is congested](Order::AdaptiveLifo) | [`ConcurrencyLimit::order`] |
//! | serve the most important first, and evict the least important from a full queue | [`ConcurrencyLimit::priorities`] |
//! | let bursts wait long, but serve a lasting overload with short waits | [`ConcurrencyLimit::controlled_delay`] |
//! | reject waiters that would miss their own deadline | [`ConcurrencyLimit::deadlines`], with [`ConcurrencyLimit::service_time`] |
//! | reclaim the slots of responses that stay unread | [`ConcurrencyLimit::max_stall`] |
//! | limit each key | [`ConcurrencyLimit::per_key`], with [`ConcurrencyLimit::reject_as_over_quota`] |
//! | share one limit fairly between many keys that are not known beforehand | [`FairShare`] |
//! | guarantee shares of one limit to a few known kinds of requests | [`Partitions`] |
//! | reject event streams so that browsers reconnect | [`EventStreams`] |
//! | limit connections, in total and per address | `BoundedListener` (feature `axum`) |
//!
//! [`ConcurrencyLimitHandle`] reads counters, changes settings at run time, and is a
//! [`LoadSignal`](plimsoll_core::LoadSignal) for shedding and sampling.
//!
//! # Recipes
//!
//! Programs to copy: [the adaptive
//! limit](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/adaptive_limit.rs),
//! [limits per
//! route](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/limits_per_route.rs),
//! [priorities from your own
//! authentication](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/priorities.rs),
//! [WebSockets that hold their
//! slot](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/websocket.rs),
//! [limits changed at run
//! time](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/live_retuning.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod control;
mod edge;
mod hints;
mod limit;
mod queue;
mod share;
mod sync;

#[doc(hidden)]
pub use self::control::{InvalidTuning, Number, Tuning};
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use self::edge::{BoundedListener, Guarded, InvalidListener, ListenerHandle};
pub use self::{
    control::{
        Adaptive, AdaptiveBuilder, Aimd, AimdBuilder, Algorithm, Change, Gradient2,
        Gradient2Builder, InvalidAdaptive, InvalidAimd, InvalidGradient2, InvalidLimits,
        InvalidVegas, InvalidWindowSize, LimitReason, Vegas, VegasBuilder, Window, WindowSize,
    },
    edge::{EventStreams, asks_for_stream},
    limit::{
        ConcurrencyLimit, ConcurrencyLimitBuilder, ConcurrencyLimitHandle, ConcurrencyLimitLayer,
        ConcurrencyLimitPermit, ConcurrencyLimitWait, InvalidConcurrencyLimit, Limit, LimitChange,
        ParseLimitError,
    },
    queue::Order,
    share::{
        FairShare, FairShareHandle, FairSharePermit, InvalidPartitions, PartitionFigures,
        Partitions, PartitionsHandle, PartitionsPermit,
    },
};
