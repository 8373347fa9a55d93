//! Metrics of gates: counters, HDR latency, Prometheus text, and a health endpoint with the load.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::metrics`.
//!
//! [`Metrics`] is the registry. Each gate reports to its own [`GateMetrics`], resolved once when
//! the layer is built; the path of a request has relaxed atomics only. Gauges (a limit, a queue's
//! depth, a breaker's state) and [load signals](plimsoll_core::LoadSignal) are read when the
//! registry is scraped.
//!
//! # Example
//!
//! ```
//! use plimsoll_core::{GateLayer, Kind};
//! use plimsoll_metrics::Metrics;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let policy = ();
//! let metrics = Metrics::new();
//! let edge = metrics.gate("edge").expecting("rate-limit", Kind::OverQuota);
//! let layer = GateLayer::builder(policy).observe(edge.clone()).build();
//! # let _: GateLayer<()> = layer;
//!
//! // Read when scraped; the second is also in `/health/load`.
//! metrics.gauge("ads_store_limit", "Places at the store", &[("gate", "edge")], || 64.0)?;
//! metrics.load("store", || 0.42)?;
//!
//! let text = metrics.prometheus().into_body();
//! assert!(text.contains("plimsoll_rejected_total{gate=\"edge\",policy=\"rate-limit\",kind=\"over-quota\"} 0"));
//! assert_eq!(metrics.health().status(), 200);
//! # Ok(()) }
//! ```
//!
//! Serve both over HTTP with [`Metrics::service`], beside the gates and not behind them: operators
//! need an answer most when other requests are rejected.
//!
//! ```
//! # async fn ad() {}
//! # use plimsoll_core::GateLayer;
//! # let metrics = plimsoll_metrics::Metrics::new();
//! # let gate = GateLayer::builder(()).observe(metrics.gate("edge")).build();
//! let app: axum::Router = axum::Router::new()
//!     .route("/ad", axum::routing::get(ad))
//!     .layer(gate)
//!     .route_service("/metrics", metrics.service())
//!     .route_service("/health/load", metrics.service());
//! ```
//!
//! # Metrics
//!
//! | family | type | labels | meaning |
//! |---|---|---|---|
//! | `plimsoll_admitted_total` | counter | gate | requests admitted |
//! | `plimsoll_rejected_total` | counter | gate, policy, kind | requests rejected |
//! | `plimsoll_abandoned_total` | counter | gate | requests that left the queue before they could run |
//! | `plimsoll_finished_total` | counter | gate, class | admitted requests that ended, by [`Class`](plimsoll_core::Class) |
//! | `plimsoll_body_dropped_total` | counter | gate | answers whose body the caller dropped before its end |
//! | `plimsoll_missing_keys_total` | counter | gate | requests from which a policy of the gate read no key |
//! | `plimsoll_in_flight` | gauge | gate | admitted requests that have not ended |
//! | `plimsoll_latency_seconds` | histogram | gate | request to head of the response |
//! | `plimsoll_recent_latency_seconds` | gauge | gate, quantile | p50, p99, p99.9 of the last one to two minutes |
//! | `plimsoll_wait_seconds` | histogram | gate | time in the queue |
//! | `plimsoll_recent_wait_seconds` | gauge | gate, quantile | p50, p99, p99.9 of the last one to two minutes |
//! | `plimsoll_load` | gauge | signal | the load signals: 0 idle, 1 at capacity |
//! | `plimsoll_overloaded_at` | gauge | | the load above which `/health/load` answers 503 |
//! | `plimsoll_alarm` | gauge | alarm, gate, policy | 1 while an [`Alarm`] is raised, 0 otherwise |
//! | `plimsoll_failed_readings_total` | counter | | readings that panicked or returned an unknown state |
//! | `plimsoll_missed_events_total` | counter | | events that were dropped before the [`Watcher`] delivered them |
//! | `plimsoll_shortened_names_total` | counter | | names of gates that were too long |
//!
//! Names follow Prometheus: base units, `_total`, small fixed label sets, no label that a caller
//! chooses. The set of metrics follows `aspnetcore.rate_limiting` in OpenTelemetry's conventions
//! (leases, their duration, queue time, requests by policy and result), the only stable precedent
//! for admission control. Series that are known at the start are exported from the start, at 0, so
//! that `rate()` includes the first increase.
//!
//! Latency leaves out three classes of `plimsoll_finished_total`: `cancelled`, whose time was cut
//! short; `overloaded`, whose answers are fast and would lower it; and `rejected`, which an inner
//! gate answered without calling the service. An answer whose body was dropped keeps the class of
//! its head and is also counted in `plimsoll_body_dropped_total`. Waits are those of requests that
//! were queued, whether they then ran or left. A wait that ended in a rejection is only in
//! `plimsoll_rejected_total`.
//!
//! # Policies, events, alarms
//!
//! [`Metrics::watch`] shows all [figures](plimsoll_core::figures) of a policy's handle in
//! [snapshots](Metrics::snapshot); [`Metrics::watch_part`] those of a queue or a hub. Their changes are
//! [events](Metrics::events): breaker transitions, limits and rates that moved by more than a fifth,
//! thresholds that crossed a criticality, queues that stay nearly full, the fallback of Redis, and
//! settings that were changed by hand. A program runs the [`Watcher`], which finds the changes that no
//! policy reports, evaluates [alarms](Metrics::alarm) and calls [subscribers](Metrics::on_event);
//! nothing is spawned unless the program does it. The feature `tracing` emits events of `tracing` in
//! the same steps, target `plimsoll`:
//!
//! | event | level | fields |
//! |---|---|---|
//! | a change | `WARN` when less is admitted or an alarm is raised, else `INFO` | `plimsoll.gate`, `.policy`, `.figure`, `.from`, `.to`, `.reason`, `.key`, `.by_hand`, `.event` |
//! | rejections of a gate, at most once a second | `INFO` | `plimsoll.gate`, `error.type` (the most frequent kind), `plimsoll.rejected`, `plimsoll.rejected.…` by kind, `plimsoll.seconds` |
//! | a wait in a queue, with `WaitSpans` | `DEBUG`, in a span | `plimsoll.gate`, `.wait` in seconds, `.outcome` |
//!
//! # Health
//!
//! [`/health/load`](Metrics::health) and [`/health/ready`](Metrics::ready) share no lock with scrapes,
//! snapshots and the watcher, and a load signal that blocks delays one check. [`Metrics::drain`] ends
//! readiness and waits for the requests in flight.
//!
//! # Latency as HDR
//!
//! Durations are kept as [H2 histograms](https://docs.rs/histogram) (an HDR histogram with
//! power-of-two groups) from one nanosecond to 18 minutes with an error below 0.8 %. [`Latencies`]
//! reads quantiles from them, and `plimsoll_recent_…` exports them. The `le` buckets of the
//! histogram families are those of OpenTelemetry's `http.server.request.duration` and three below
//! them (0.5, 1 and 2.5 ms), filled from the fine buckets, so each bound is accurate to 0.8 %.
//!
//! # Cost
//!
//! Three relaxed increments and one addition per admitted request, one increment per rejection; no
//! lock, no lookup of labels, no allocation, no clock. On x86-64 that is 126 instructions for an
//! admission and its end (nearly half of them subtract two instants), 147 with a wait, and 45 for a
//! rejection. `cargo run --release -p plimsoll-metrics --example cost` prints nanoseconds, and its
//! source explains how to count instructions. A scrape costs tens of microseconds per gate, on the
//! thread that answers it.
//!
//! # Bounds
//!
//! 64 gates, 16 policies per gate (rejecting and watched), 256 parts, 1,024 pulled series, 64 load
//! signals, 32 alarms and 1,024 events. Gates and rejecting policies
//! beyond that are counted together under the name `other`; a series or a signal beyond the bound
//! is an [`InvalidMetric`]. A histogram has a series for each of its bounds, and three more.
//!
//! # Recipes
//!
//! Programs to copy: [metrics for
//! Prometheus](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/metrics_endpoint.rs),
//! [load as a health
//! check](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/health_load.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod accept;
mod alarm;
mod collect;
mod damper;
mod derived;
mod error;
mod events;
mod families;
mod gate;
mod health;
mod histogram;
mod latency;
mod metrics;
mod names;
mod parts;
mod prometheus;
mod pulled;
mod readiness;
mod recent;
mod rejections;
mod service;
mod signals;
mod snapshot;
mod switch;
#[cfg(feature = "tracing")]
mod trace;
mod turn;
#[cfg(feature = "tracing")]
mod wait_spans;
mod watch;
mod watched;
mod watcher;

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::wait_spans::WaitSpans;
pub use self::{
    alarm::{Alarm, AlarmChange},
    error::InvalidMetric,
    events::Event,
    gate::{GateCounts, GateMetrics, RejectionCount},
    histogram::Distribution,
    latency::Latencies,
    metrics::Metrics,
    service::{MetricsFuture, MetricsService},
    snapshot::{AlarmSnapshot, GateSnapshot, PartSnapshot, PolicySnapshot, Snapshot},
    watcher::Watcher,
};
