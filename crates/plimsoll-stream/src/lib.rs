//! Streams with bounded buffers, of [Plimsoll](https://docs.rs/plimsoll): each buffer has a policy
//! for when it is full.
//!
//! The facade has these items in `plimsoll::stream`.
//!
//! A stream whose consumer is slower than its producer needs a decision: wait, or lose something.
//! A [`BoundedQueue`] has seven of them, chosen at construction and changed while it is in use. It
//! is bounded in items and in bytes, hands back what it evicts, and numbers what it loses. The other
//! parts are built in the same way:
//!
//! | part | for |
//! |---|---|
//! | [`BoundedQueue`] | a buffer between producers and consumers that share its items |
//! | [`Hub`] | one publisher and many subscribers that each receive all items, and continue after a break |
//! | [`Demand`], [`demand`] | a producer that sends only what was requested: `request(n)`, `cancel`, batches |
//! | [`Pipeline`] | stages joined by bounded buffers, with concurrency, order and figures for each stage |
//! | [`Sampler`] | a share of a stream that falls as its queue fills up, with weights |
//! | `Throttle`, feature `throttle` | token buckets by events and by bytes, per subscriber and for all |
//! | `sse`, feature `axum` | server-sent events: resume, acknowledgements, a poll endpoint |
//! | `work`, feature `axum` | a worker queue for expensive jobs of handlers |
//! | `websocket`, feature `websocket` | a queue for each client, flow messages, limits |
//! | `grpc`, feature `tonic` | streams with credit, window settings, a server with write deadlines |
//! | `listener`, feature `listener` | sockets that show a slow client early, and end blocked writes |
//!
//! # Example
//!
//! A queue of 50 per connection, for three kinds of messages:
//!
//! ```
//! use plimsoll_stream::{BoundedQueue, Fate, QueuePolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Live data: only the latest counts, so the oldest is evicted.
//! let prices = BoundedQueue::new(50, QueuePolicy::DropOldest)?;
//! // Critical messages in order: those that are queued stay, and new ones are dropped.
//! let orders = BoundedQueue::new(50, QueuePolicy::DropNewest)?;
//! // No loss: the sender waits until there is room.
//! let audit = BoundedQueue::new(50, QueuePolicy::BLOCK)?;
//!
//! for n in 0..50 {
//!     prices.send(n).await?;
//!     orders.send(n).await?;
//!     audit.send(n).await?;
//! }
//! let sent = prices.send(50).await?;
//! assert!(sent.lost.into_iter().map(|(price, _)| price).eq([0]), "handed back");
//! let sent = orders.send(50).await?;
//! assert_eq!((sent.fate, sent.lost.len()), (Fate::Dropped, 1));
//!
//! let (sent, received) = tokio::join!(audit.send(50), audit.recv());
//! assert_eq!(received, Some(0));
//! assert_eq!(sent?.seq, 50);
//! # Ok(()) }
//! ```
//!
//! # Choosing a policy
//!
//! [`QueuePolicy`] has the table. [`QueuePolicy::Block`] loses nothing and slows the producer down;
//! it fits where the producer can wait, such as a task that reads a socket. The other policies keep
//! the producer's pace and lose items of one slow consumer, so that it does not slow the rest.
//!
//! # What a consumer sees
//!
//! Each item that was sent has a sequence number, dropped items too.
//! [`BoundedQueue::recv_delivery`] yields items and [`Gap`]s in order:
//!
//! ```
//! use plimsoll_stream::{BoundedQueue, Delivery, DropReason, Gap, QueuePolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = BoundedQueue::new(2, QueuePolicy::DropOldest)?;
//! for item in ["a", "b", "c", "d"] {
//!     queue.send(item).await?;
//! }
//! let gap = Gap { from: 0, to: 1, reason: DropReason::Oldest };
//! assert_eq!(queue.recv_delivery().await, Some(Delivery::Gap(gap)));
//! assert_eq!(queue.recv_delivery().await, Some(Delivery::Item { seq: 2, item: "c" }));
//! # Ok(()) }
//! ```
//!
//! # Cancellation
//!
//! | dropped future | effect |
//! |---|---|
//! | [`recv`](BoundedQueue::recv), [`recv_many`](BoundedQueue::recv_many), [`recv_delivery`](BoundedQueue::recv_delivery) | none: no item and no gap is lost or seen twice |
//! | [`send`](BoundedQueue::send) | the item is dropped with the future, and was never in the queue |
//! | [`reserve`](BoundedQueue::reserve) | the place among the waiting senders is lost, and the item is still the caller's |
//! | [`Demand::acquire`] | the place among the producers is lost; a credit goes to the next one |
//! | the next item of a gated, batched, sampled or throttled stream | none: what is collected stays in the stream |
//! | [`PipelineRun`] | as an abort: what is in the pipeline is dropped and counted |
//!
//! A wake-up that was on its way to a dropped future goes to the next waiter.
//!
//! # Errors and panics
//!
//! [`InvalidQueue`] at construction and when the policy is changed. [`SendError`] hands the item
//! back. Nothing in this crate panics. The functions that a caller gives (weight, priority, key,
//! hook) run outside of the lock: a panic in the hook is caught, and a panic in another one passes
//! to the sender before its item is in the queue.
//!
//! # Cost
//!
//! One short lock for each send, receive or batch. Under [`QueuePolicy::Block`] receivers have a lock
//! of their own, and take all queued items from the senders at once. A wait, a permit, a delivery and
//! [`close`](BoundedQueue::close) undo that first, which moves at most the items that were sent since.
//!
//! No allocation for an item that evicts at most one other, and no clock, unless items expire or their
//! waits are [measured](BoundedQueueBuilder::measure_waits). A receiver is woken once for many items,
//! and waiting senders one after the other. `cargo run --release -p benches --bin streams` measures it
//! beside its peers.
//!
//! Sends and receives take the least time in a queue without a bound in bytes, priorities and keys,
//! while there is room, no task waits, and no item was lost in front of the next one. They then move
//! the item and decide nothing. Under [`QueuePolicy::Block`] most of them do.
//!
//! An operation keeps the lock for some ten nanoseconds. A thread that finds it locked looks again for
//! some microseconds, and then yields its processor. If the operating system has suspended the
//! thread with the lock for longer, the other one sleeps for 50 µs at a time. Do not share a queue
//! between threads with and without real-time priority.
//!
//! # When not to use a `BoundedQueue`
//!
//! - Between threads without async: `crossbeam-channel` or `std::sync::mpsc`.
//! - For one value of which only the latest counts: `tokio::sync::watch`.
//! - When each of many consumers must get each item: a [`Hub`].
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod alarm;
mod clock;
pub mod demand;
mod figures;
#[cfg(feature = "tonic")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
pub mod grpc;
mod hub;
mod key_hash;
#[cfg(feature = "listener")]
#[cfg_attr(docsrs, doc(cfg(feature = "listener")))]
pub mod listener;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
mod pipeline;
mod queue;
#[cfg(feature = "axum")]
mod reject;
mod sampling;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod sse;
mod sync;
#[cfg(feature = "throttle")]
mod throttle;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub mod websocket;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod work;

#[cfg(feature = "throttle")]
#[cfg_attr(docsrs, doc(cfg(feature = "throttle")))]
pub use self::throttle::{InvalidThrottle, Throttle, ThrottleBuilder, Throttled};
pub use self::{
    demand::Demand,
    hub::{
        Cursor, Ended, Hub, HubBuilder, HubCounters, InvalidCursor, InvalidHub, LagPolicy,
        PublishError, Published, RecvNext, Reset, ResetReason, Resumed, SubscribeError, Subscriber,
        Subscription,
    },
    pipeline::{
        InvalidPipeline, Pipeline, PipelineEnd, PipelineError, PipelineHandle, PipelineRun, Stage,
        StageMetrics,
    },
    queue::{
        BoundedQueue, BoundedQueueBuilder, CloseOnDrop, Counters, Deliveries, Delivery, DropReason,
        Fate, Gap, InvalidQueue, ItemSink, Items, Lost, Permit, QueuePolicy, Recv, RecvDelivery,
        RecvMany, Reserve, ReserveError, SendError, SendItem, Sent, WaitTimes, Weight,
    },
    sampling::{SampledItems, Sampler, SamplerHandle, Weighted},
};
#[doc(no_inline)]
pub use plimsoll_core::{Criticality, InvalidRates, LoadSignal, Priority, Rates};
#[cfg(feature = "throttle")]
#[doc(no_inline)]
pub use plimsoll_rate_limit::{InvalidQuota, Quota, RateLimitHandle};
