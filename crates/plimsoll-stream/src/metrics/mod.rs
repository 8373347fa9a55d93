//! Figures for Prometheus, through `plimsoll-metrics` (feature `metrics`).
//!
//! One call for each part; everything is read when the registry is scraped:
//!
//! ```
//! use plimsoll_metrics::Metrics;
//! use plimsoll_stream::{BoundedQueue, QueuePolicy, metrics::Export};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Metrics::new();
//! let prices = BoundedQueue::new(50, QueuePolicy::DropOldest)?;
//! prices.export(&metrics, "prices")?;
//!
//! prices.try_send(17)?;
//! let text = metrics.prometheus().into_body();
//! let depth = r#"plimsoll_stream_queue_depth{name="prices",part="queue",unit="items"} 1"#;
//! assert!(text.contains(depth));
//! # Ok(()) }
//! ```
//!
//! # Families
//!
//! All names begin with `plimsoll_stream_`. The labels `name` and `part` are on each series; `part`
//! is `queue`, `hub`, `topic`, `websockets`, `grpc`, `listener`, `work_queue` or `throttle`.
//!
//! | family | type | labels | parts |
//! |---|---|---|---|
//! | `queue_depth`, `queue_capacity` | gauge | unit: items, bytes | queue, work queue |
//! | `queue_dropped_total` | counter | policy, reason | queue, work queue, websockets |
//! | `queue_sent_total` | counter | | queue, work queue, hub, topic |
//! | `queue_received_total` | counter | | queue, work queue, hub, topic, websockets |
//! | `queue_wait_seconds` | histogram | | queue, if it measures waits |
//! | `oldest_age_seconds` | gauge | | queue |
//! | `clients` | gauge | | hub, topic, websockets, listener |
//! | `client_buffer_utilization` | gauge | | topic, websockets |
//! | `gaps_total` | counter | | hub, topic, websockets |
//! | `missed_total` | counter | | hub, topic |
//! | `replay_hits_total`, `replay_misses_total` | counter | | hub, topic |
//! | `retry_headers_total` | counter | status: 429, 503 | topic, websockets, work queue |
//! | `migrations_total` | counter | to: poll, stream | topic |
//! | `slow_disconnects_total` | counter | reason | hub, websockets, grpc, listener |
//! | `blocked_clients` | gauge | | grpc, listener |
//! | `unsent_bytes` | gauge | | listener |
//! | `throttle_passed_total`, `throttle_delayed_total` | counter | | throttle |
//! | `saturated` | gauge | signal (no `name` and `part`) | [alarm](crate::alarm) |
//!
//! Throughput is `rate()` of sent and received. Combinations of policy and reason that can occur
//! are exported from the start at 0. What is not exact:
//!
//! - `queue_wait_seconds` has one item of [`every`](crate::WaitTimes::every) measured. Its buckets
//!   are exact; its sum is [estimated](crate::WaitTimes::estimated_sum).
//! - `oldest_age_seconds` is NaN while the queued items have no time stamp, see
//!   [`BoundedQueue::oldest_age`](crate::BoundedQueue::oldest_age).
//! - `migrations_total{to="stream"}` has no client that came back after 65,536 others were moved.
//!
//! # Cost and bounds
//!
//! Nothing on the path of an item. A reading calls the part's own getter: a queue is locked once
//! for each of its counters, for some tens of nanoseconds. A queue has about 15 series, and 20 more
//! with waits, of the 1,024 of a registry.

mod alarm;
mod export;
mod families;
#[cfg(feature = "tonic")]
mod grpc;
mod hub;
#[cfg(feature = "listener")]
mod listener;
mod losses;
mod queue;
#[cfg(feature = "websocket")]
mod sockets;
#[cfg(feature = "throttle")]
mod throttle;
#[cfg(feature = "axum")]
mod topic;
mod waits;
#[cfg(feature = "axum")]
mod work;

pub use self::export::Export;
