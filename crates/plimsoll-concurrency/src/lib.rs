//! A limit on requests in flight, for Tower services behind a [`plimsoll_core::Gate`].
//!
//! [`ConcurrencyLimit`] lets a fixed number of requests run at a time. One more is refused at once, or waits in a queue
//! that is bounded by count and by time. The limit is what protects a store, a pool or a licence with a known
//! width; latency stays flat because no more work is let in than can be done.
//!
//! ```
//! use std::time::Duration;
//! use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer};
//!
//! # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
//! // 64 at a time; up to 128 more wait, none for longer than 50 ms.
//! let limit = ConcurrencyLimit::new(64)?.queue(128, Duration::from_millis(50))?;
//! let handle = limit.handle();
//! let layer = ConcurrencyLimitLayer::new(limit);
//! // Later, from anywhere: the layer follows.
//! handle.set_limit(96)?;
//! # let _: ConcurrencyLimitLayer = layer;
//! # Ok(())
//! # }
//! ```
//!
//! # Which to choose
//!
//! | | |
//! |---|---|
//! | [`ConcurrencyLimit::new`] | refuses at once: for callers that can go elsewhere |
//! | [`ConcurrencyLimit::queue`] | waits, first come first served: smooths bursts shorter than the longest wait |
//! | [`ConcurrencyLimit::order`] | the newest first instead, always or [while the queue is congested](Order::AdaptiveLifo): some in time rather than all late |
//! | [`ConcurrencyLimit::priorities`] | the most important first; when the queue is full it pushes out the least important |
//! | [`ConcurrencyLimit::controlled_delay`] | bursts may wait long, a lasting overload is served with short waits |
//! | [`ConcurrencyLimit::deadlines`] | a request is refused when it could not be served before its own deadline |
//! | [`ConcurrencyLimit::service_time`] | how long serving takes, for that |
//! | [`ConcurrencyLimit::max_stall`] | how long a response may stay unread before its slot is reclaimed |
//! | [`ConcurrencyLimit::reject_as_over_quota`] and [`ConcurrencyLimit::cell`] | a limit for each key, inside [`Keyed`](plimsoll_core::Keyed) |
//! | [`FairShare`] | one limit, shared fairly by many keys that are not known beforehand |
//! | [`Partitions`] | one limit, of which a few known kinds of requests have guaranteed shares |
//! | [`asks_for_stream`] | event streams and WebSocket connections, counted apart from requests |
//! | `BoundedListener` (feature `axum`) | a limit on connections, in all and per address |
//!
//! [`ConcurrencyLimitHandle`] changes every setting at run time, counts, and is a
//! [`LoadSignal`](plimsoll_core::LoadSignal) for shedding and sampling.
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
pub use self::control::{Number, Tuning};
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use self::edge::{BoundedListener, Guarded, InvalidListener, ListenerHandle};
pub use self::{
    control::{
        Adaptive, Aimd, Algorithm, Change, Gradient2, InvalidAlgorithm, LimitReason, Vegas, Window,
        WindowSize,
    },
    edge::{EventStreams, asks_for_stream},
    limit::{
        ConcurrencyLimit, ConcurrencyLimitHandle, ConcurrencyLimitLayer, ConcurrencyLimitPermit,
        ConcurrencyLimitWait, InvalidConcurrencyLimit, LimitChange,
    },
    queue::Order,
    share::{
        FairShare, FairShareHandle, FairSharePermit, InvalidPartitions, PartitionFigures,
        Partitions, PartitionsHandle, PartitionsPermit,
    },
};
