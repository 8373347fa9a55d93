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
//! [`families::FAMILIES`] has them as a table, and so has the guide
//! [observability](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/observability.md), whose
//! tables are generated from it, with the figures of each policy.
//!
//! | metrics | labels | of |
//! |---|---|---|
//! | `plimsoll_offered_total`, `…admitted…`, `…rejected…`, `…abandoned…`, `…finished…` | gate, and policy, kind, criticality or class | requests |
//! | `plimsoll_latency_seconds`, `…wait…`, `…permit…` | gate | histograms; `plimsoll_recent_…` are the quantiles of the last minute or two |
//! | `plimsoll_policy_…`, `plimsoll_part_…` | gate and policy, name and part | [figures](Metrics::watch) |
//! | `plimsoll_load`, `plimsoll_alarm` | signal; alarm, gate, policy | [loads](Metrics::load), [alarms](Metrics::alarm) |
//! | `plimsoll_failed_readings_total` and other counters without labels | | the registry itself |
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
//! Durations are counted in the buckets of an [`hdrhistogram`] with two significant digits, from
//! 16 ns to 18 minutes, with an error below 0.8 % (below 2 µs: of 16 ns). [`Latencies`] is such a
//! histogram at one time: percentiles, [merging](Latencies::merge) of gates and replicas, the
//! durations [between](Latencies::since) two snapshots, the text of `HdrHistogram`'s plotters
//! ([`Latencies::hgrm`]), and with the feature `serialization` its bytes in the format V2.
//!
//! The `le` buckets of the histogram families are those of OpenTelemetry's
//! `http.server.request.duration` and three below them (0.5, 1 and 2.5 ms), filled from the fine
//! buckets, so each bound is accurate to 0.8 %.
//!
//! The `plimsoll_recent_…` quantiles cover what was recorded in the last one to two minutes if the
//! registry is scraped at least once a minute. After a gap of more than two minutes they are `NaN`,
//! since nothing shows when in the gap a duration was recorded.
//!
//! # Permit times
//!
//! The time from admission to the end of the body is measured for one request in 128, chosen at
//! random: it takes a clock read at the end, which costs as much as all other recording of a
//! request. [`GateMetrics::every_permit`] measures all.
//!
//! # Traces
//!
//! [`GateMetrics::exemplars`] is a policy that keeps the trace of a recent request for each bucket
//! of the latency, in [`GateSnapshot::exemplars`].
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `serialization` | `Latencies::to_v2` and `from_v2`: histograms as bytes |
//!
//! # Cost
//!
//! Each thread owns a shard of every gate, and the gate counts there inline with plain loads and
//! stores: an admission and its end take four additions, and no call of an observer, lock, locked
//! instruction, look-up of labels, allocation (after a thread's first duration below 4.2 ms, and
//! the first of each octave above) or clock read. Rejections, waits and other ends than successes are events of the observer.
//!
//! What metrics add to a gate, by `cargo run --release -p benches --bin instructions` and `--bin
//! metrics`:
//!
//! | gate | instructions | ns |
//! |---|--:|--:|
//! | whose policy reads the latency (adaptive limit) | 57 | 1 to 3 |
//! | whose policy does not (fixed limit): with the clock read at the head, 54 of them | 110 | 21 |
//!
//! Beside [`WaitSpans`], and with any observer that needs no
//! [request](plimsoll_core::Observe::observes_each_request), they stay. A further observer of
//! requests gets each event by a call, and so do the metrics then.
//!
//! Recording alone takes 2.6 ns, on one thread and per thread on two: the threads write to no common
//! cache line (`--bin metrics -- --pairs 500` prints the ratio and its interval). Its alternatives, in
//! the same loop: shards with locked additions take 18 ns instead of 2.6, and the
//! recorders of `hdrhistogram` (feature `sync`) 2.2 ns for the latency alone, but a snapshot then
//! waits for every recording thread. `cargo run --release -p plimsoll-metrics --example cost`
//! measures single events.
//!
//! # Memory
//!
//! A gate without requests takes 2.6 KiB on a machine with up to four processors, and 0.3 KiB more
//! for each further one. Latencies and permit times have a histogram for each thread that serves the
//! gate, waits have one. A histogram of latencies or waits takes 12 KiB for all durations below
//! 4.2 ms, and 1 KiB for each octave (duration to its double) in use above; one of permit times
//! 0.5 KiB for each octave in use. Used by two threads, with all of them:
//!
//! | durations | memory |
//! |---|--:|
//! | 0.1 ms to 1 s | 79 KiB |
//! | 16 ns to 18 minutes, the whole range | 126 KiB |
//!
//! `cargo test -p plimsoll-metrics --test it a_gate_takes -- --nocapture` prints both.
//! Where the registry is scraped as text, four copies for the recent quantiles add 16 bytes for
//! each bucket that is not empty, and one snapshot in each is alive. [`GateMetrics::bytes`] is the
//! current size without these copies.
//!
//! # Bounds
//!
//! 128 gates, 16 policies per gate (rejecting and watched), 256 parts, 1,024 pulled series, 64 load
//! signals, 32 alarms and 1,024 events. Gates and rejecting policies beyond that are counted together
//! under the name `other`, and `plimsoll_gates_merged_total` counts such gates; a series or a signal
//! beyond the bound is an [`InvalidMetric`]. A histogram has a series for each of its bounds, and three
//! more.
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
mod added;
mod alarm;
mod clash;
mod counts;
mod criticality;
mod damper;
mod derived;
mod error;
mod events;
mod exemplars;
mod export;
pub mod families;
mod filled;
mod gate;
mod health;
mod hgrm;
mod histogram;
mod latency;
mod layout;
mod metrics;
mod names;
mod offenders;
mod parts;
mod prometheus;
mod pulled;
mod readiness;
mod recent;
mod rejections;
#[cfg(feature = "serialization")]
mod serial;
mod service;
mod shard;
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

#[cfg(feature = "serialization")]
pub use self::serial::InvalidEncoding;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::wait_spans::WaitSpans;
pub use self::{
    alarm::{Alarm, AlarmChange},
    counts::{GateCounts, RejectionCount},
    error::InvalidMetric,
    events::Event,
    exemplars::{Exemplar, Exemplars},
    gate::GateMetrics,
    histogram::Distribution,
    latency::Latencies,
    metrics::Metrics,
    offenders::Offender,
    service::{MetricsFuture, MetricsService},
    snapshot::{AlarmSnapshot, GateSnapshot, PartSnapshot, PolicySnapshot, Snapshot},
    watcher::Watcher,
};
