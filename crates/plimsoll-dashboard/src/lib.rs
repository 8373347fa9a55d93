//! A live board of gates, served by the application itself: traffic, limits, rejections, latency.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::dashboard`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use plimsoll_concurrency::ConcurrencyLimit;
//! use plimsoll_core::GateLayer;
//! use plimsoll_dashboard::dashboard;
//! use plimsoll_metrics::Metrics;
//!
//! # async fn ad() {}
//! let metrics = Metrics::new();
//! let limit = ConcurrencyLimit::adaptive();
//! metrics.watch("edge", limit.handle())?; // the limit, the queue, and why the limit changed
//! let gate = GateLayer::builder(limit).observe(metrics.gate("edge")).build();
//! let app: Router = Router::new()
//!     .route("/ad", axum::routing::get(ad))
//!     .layer(gate)
//!     // After the gate, so that an overload does not reject the operators.
//!     .nest("/plimsoll", dashboard(&metrics));
//! # Ok(()) }
//! ```
//!
//! The page at `/plimsoll` is one file of HTML with scripts and styles that are embedded in the
//! program: no build step, no other server, no request to another host. `Router::nest` answers at
//! `/plimsoll` and not at `/plimsoll/`, since axum matches the two apart; `Router::nest_service`
//! answers at both.
//!
//! # The page
//!
//! A card for each gate, worst first, from the start and without traffic too:
//!
//! | on the card | shows |
//! |---|---|
//! | area of the disc | traffic, relative to the busiest gate |
//! | colour, and the words beside it | health: what is rejected, what fails, which circuit is open |
//! | stacked areas | requests per second: admitted, and rejected by reason |
//! | bars | a limit beside its use, a queue beside its capacity |
//! | "because" | the last change of the limit with its reason |
//!
//! Its details have percentiles over time, a latency histogram, all counters, figures and settings
//! of the policies, and the events of the gate. The views are 10 s, 1 min, 10 min and 1 h.
//! Intervals without a reading are gaps, such as a pause of the process. Figures that this version
//! has no place for are shown by name.
//!
//! The page is usable by keyboard, follows the dark or light setting, and fits a phone. A hidden
//! page closes its connection, and loads the history when it is shown again.
//!
//! # Paths
//!
//! | path | content |
//! |---|---|
//! | `/` and the files of the page | with an `ETag`, and a content security policy that permits nothing inline |
//! | `/updates` | server-sent events: one update per second |
//! | `/snapshot.json` | the latest update |
//! | `/history/0.json`, `1`, `2` | the last minute by second, ten minutes by 5 s, hour by 30 s |
//! | `/peer.json` | counters and histograms since the start, for [peers](Dashboard::peers) |
//! | `/fleet/…` | updates, snapshot and history of the fleet, with peers |
//! | `/control` | what operators may change, of a [writable](Dashboard::writable) board |
//!
//! The format of these documents is that of the page of the same version, and may change.
//!
//! # Security
//!
//! The board has no login: every client that reaches its path can read names, settings and counters. Add a
//! layer with the authentication of your operators, or serve the router on a listener of its own.
//! Names of gates and policies, reasons and keys are text in the page, whatever they contain. Keys
//! in events, and those with the most rejections
//! ([`offenders`](plimsoll_metrics::GateMetrics::offenders)), are hashes unless [`show_keys`](Dashboard::show_keys) is set.
//!
//! # Task
//!
//! [`Dashboard::router`] spawns a task (with peers a second one, with
//! [`until`](Dashboard::until) one that waits for the shutdown). It reads all figures once a second
//! on a thread for blocking work, and ends with the last clone of the router. Figures must not
//! block: one that does delays the board, and no request.
//!
//! # Cost and bounds
//!
//! A second costs one reading of the metrics (`Metrics::snapshot`) and, with viewers, one encoding:
//! with 50 gates 1.1 ms and 0.1 ms, and 91 KB per update, whatever the number of viewers. With 20
//! viewers that read it, all of it took 0.13 % of one core. `cargo run --release -p
//! plimsoll-dashboard --example board_cost` prints these, and before them, in pairs of turns with a
//! board and without, the ratios of throughput and of processor time per request with their
//! intervals. On a machine that was busy with other work, 120 pairs gave -0.04 to +6.3 % for the
//! throughput and -0.6 to +1.2 % for the processor time.
//!
//! A peer costs a request of up to 200 KB every five seconds.
//!
//! | bound | value |
//! |---|---|
//! | viewers | 20 ([`viewers`](Dashboard::viewers)); the oldest is let go for a new one |
//! | updates held for a viewer | 1: a slow viewer misses updates, and the board counts them |
//! | history | 300 points of a gate, 21 KiB |
//! | events | 200; changes of numbers evict no more than half of the state transitions' places |
//! | gates | 65 of a process (as `plimsoll-metrics` has), 131 of a fleet |
//! | peers | 32, each with an answer of up to 4 MiB within 2 s |
//! | actions | 256 |
//!
//! The page shows these costs at its end: the time of the reading and of the encoding, bytes per
//! update, viewers, viewers that were let go, and what was dropped.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod actions;
mod assets;
mod board;
mod check;
mod counts;
mod dashboard;
mod decode;
mod delta;
mod error;
mod event;
mod figures;
mod fleet;
mod guard;
mod health;
mod histogram;
mod history;
mod number;
mod point;
mod reading;
mod ring;
mod routes;
mod sampler;
mod scope;
mod shared;
mod sparse;
mod update;
mod viewers;
mod wall;

pub use self::{
    actions::{Control, Input},
    dashboard::{Dashboard, dashboard},
    error::InvalidDashboard,
};
