//! Load shedding by priority, for Tower services behind a [`plimsoll_core::Gate`].
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::load_shed`.
//!
//! | task | policy |
//! |---|---|
//! | keep a service at its capacity under any offered load | [`AdaptiveShed`]: measures the capacity, and sheds the rest by priority |
//! | shed at fixed loads | [`LoadShed`]: a ramp from one load to another |
//!
//! Policies for the client's side, such as `AdaptiveThrottle` and `Downstream`, are in
//! [`plimsoll-client`](https://docs.rs/plimsoll-client).
//!
//! `AdaptiveShed` and `LoadShed` read a [`LoadSignal`](plimsoll_core::LoadSignal), which is 1 at an
//! objective that you set:
//!
//! | signal | measures | does not measure |
//! |---|---|---|
//! | [`QueueDelay`]: the default choice | requests in a queue | work that is not queued there |
//! | a concurrency limit's handle | requests in flight and queued, at once | the cost of each |
//! | [`Depth`] | a queue between tasks, at once | how long its entries take |
//! | [`ExecutorDelay`] (feature `executor-delay`) | handlers that compute or block | handlers that wait |
//! | [`SystemLoad`] (Linux) | processors, memory and their pressure | locks, pools, dependencies; the last second |
//! | a closure | any value | |
//!
//! [`Worst`](plimsoll_core::Worst) takes the higher of two signals, and [`WorstOf`] the highest of
//! any number. A signal that fails or has no value reads as 0 and sheds nothing.
//!
//! One layer, which sheds by the length of a queue between tasks:
//!
//! ```
//! use http::{Request, Response};
//! use plimsoll_load_shed::{Depth, LoadShed};
//! use tower::{Layer, service_fn};
//!
//! async fn record(_: Request<String>) -> Result<Response<String>, std::convert::Infallible> {
//!     Ok(Response::new("recorded".to_owned()))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let depth = Depth::new(1_000)?; // 1 at a thousand entries
//! let service = LoadShed::new(depth.clone()).into_layer().layer(service_fn(record));
//! # let _ = service;
//! # Ok(())
//! # }
//! ```
//!
//! Several policies in one gate, the faster form:
//!
//! ```
//! use plimsoll_core::{ByHeader, ClientIp, Deadlines, GateLayer, When};
//! use plimsoll_load_shed::{AdaptiveShed, QueueDelay, except_paths};
//! # type Body = String;
//! # fn serve<P: plimsoll_core::Policy<http::Request<Body>>>(_: GateLayer<P>) {}
//!
//! # let concurrency = ();
//! // 1 when requests wait 1.5 times as long as they run for the concurrency limit behind.
//! let delay = QueueDelay::relative();
//! let shed = AdaptiveShed::new(delay.clone());
//! let handle = shed.handle();
//! // Deadline; priority; queue delay; shedding, from which health checks are exempt.
//! let stack = (
//!     Deadlines::propagated(),
//!     ByHeader::untrusted(ClientIp::peer()),
//!     delay,
//!     When::new(except_paths(["/healthz", "/metrics"]), shed),
//!     concurrency,
//! );
//! serve(GateLayer::new(stack));
//! assert_eq!(handle.threshold(), 0); // nothing is shed
//! ```
//!
//! # Features
//! No feature is on by default. `executor-delay` adds [`ExecutorDelay`], which spawns a task.
//!
//! [`LoadShed`] and [`AdaptiveShed`] document what is shed at which load;
//! [docs/shedding.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/shedding.md) is the
//! guide.
//!
//! # Recipes
//!
//! Programs to copy: [load shedding in a full
//! stack](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/full_stack.rs),
//! [deadlines](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/deadlines.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod adaptive;
mod builder;
mod error;
mod exempt;
mod figures;
mod handle;
mod hints;
mod layer;
mod load_shed;
mod settings;
mod signal;
mod sync;
mod threshold;

pub use self::{
    adaptive::{AdaptiveShed, AdaptiveShedHandle},
    builder::LoadShedBuilder,
    error::{InvalidAdaptiveShed, InvalidDepth, InvalidLoadShed, InvalidQueueDelay},
    exempt::except_paths,
    handle::LoadShedHandle,
    layer::LoadShedLayer,
    load_shed::LoadShed,
    signal::{BoxedSignal, Depth, DepthGuard, QueueDelay, WorstOf},
};
#[cfg(feature = "executor-delay")]
pub use self::{error::InvalidExecutorDelay, signal::ExecutorDelay};
#[cfg(target_os = "linux")]
pub use self::{
    error::InvalidSystemLoad,
    signal::{SystemLoad, SystemLoadBuilder},
};
