//! A limit on requests in flight, for Tower services behind a [`plimsoll_core::Gate`].
//!
//! [`Concurrency`] lets a fixed number of requests run at a time. One more is refused at once, or waits in a queue
//! that is bounded by count and by time. The limit is what protects a store, a pool or a licence with a known
//! width; latency stays flat because no more work is let in than can be done.
//!
//! ```
//! use std::time::Duration;
//! use plimsoll_concurrency::{Concurrency, ConcurrencyLayer};
//!
//! # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrency> {
//! // 64 at a time; up to 128 more wait, none for longer than 50 ms.
//! let limit = Concurrency::new(64)?.queue(128, Duration::from_millis(50))?;
//! let handle = limit.handle();
//! let layer = ConcurrencyLayer::new(limit);
//! // Later, from anywhere: the layer follows.
//! handle.set_limit(96)?;
//! # let _: ConcurrencyLayer = layer;
//! # Ok(())
//! # }
//! ```
//!
//! # Which to choose
//!
//! | | |
//! |---|---|
//! | [`Concurrency::new`] | refuses at once: for callers that can go elsewhere |
//! | [`Concurrency::queue`] | waits, first come first served: smooths bursts shorter than the longest wait |
//! | [`Concurrency::order`] | the newest first instead, always or [while the queue is congested](Order::AdaptiveLifo): some in time rather than all late |
//! | [`Concurrency::priorities`] | the most important first; when the queue is full it pushes out the least important |
//! | [`Concurrency::controlled_delay`] | bursts may wait long, a lasting overload is served with short waits |
//! | [`Concurrency::deadlines`] | a request is refused when it could not be served before its own deadline |
//! | [`Concurrency::service_time`] | how long serving takes, for that |
//! | [`Concurrency::max_stall`] | how long a response may stay unread before its slot is reclaimed |
//! | [`Concurrency::per_caller`] and [`Concurrency::cell`] | a limit for each key, inside [`Keyed`](plimsoll_core::Keyed) |
//! | [`FairShare`] | one limit, shared fairly by many keys that are not known beforehand |
//! | [`Partitions`] | one limit, of which a few known kinds of requests have guaranteed shares |
//! | [`asks_for_stream`] | event streams and WebSocket connections, counted apart from requests |
//! | `BoundedListener` (feature `axum`) | a limit on connections, in all and per address |
//!
//! [`ConcurrencyHandle`] changes every setting at run time, counts, and is a
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
        Concurrency, ConcurrencyHandle, ConcurrencyLayer, ConcurrencyPermit, ConcurrencyWait,
        InvalidConcurrency, LimitChange,
    },
    queue::Order,
    share::{
        FairShare, FairShareHandle, FairSharePermit, InvalidPartitions, PartitionFigures,
        Partitions, PartitionsHandle, PartitionsPermit,
    },
};
