//! Sheds load, least important first, for Tower services behind a [`plimsoll_core::Gate`].
//!
//! [`LoadShed`] reads a [`LoadSignal`](plimsoll_core::LoadSignal): a queue's depth, requests in flight, a closure. As
//! the load rises from one point to another it refuses more and more, by [`Priority`](plimsoll_core::Priority):
//! batch work before what users wait for, and within a kind one part of the users before the rest.
//!
//! ```
//! use plimsoll_core::GateLayer;
//! use plimsoll_load_shed::{Depth, LoadShed};
//!
//! # fn main() -> Result<(), plimsoll_load_shed::InvalidLoadShed> {
//! // The queue between the handler and the writer. Each entry carries a guard.
//! let depth = Depth::new(1024)?;
//! let shed = LoadShed::new(depth.clone()).between(0.7, 0.95)?;
//! let handle = shed.handle();
//! let layer = GateLayer::new(shed);
//!
//! // In the handler; `None` when it is full.
//! let entry = depth.try_enter().map(|guard| ("impression", guard));
//! assert_eq!(handle.threshold(), 0); // nothing is shed at this load
//! drop(entry); // the writer has it
//! # let _: GateLayer<_> = layer;
//! # Ok(())
//! # }
//! ```
//!
//! How much is shed at which load, and of what, is told at [`LoadShed`].
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod adaptive;
mod downstream;
mod error;
mod exempt;
mod handle;
mod layer;
mod load_shed;
mod settings;
mod signal;
mod sync;
mod threshold;
mod throttle;

#[cfg(feature = "call-scope")]
pub use self::downstream::{CallScope, CallScopeLayer};
#[cfg(feature = "executor-delay")]
pub use self::signal::ExecutorDelay;
#[cfg(target_os = "linux")]
pub use self::signal::{SystemLoad, SystemLoadBuilder};
pub use self::{
    adaptive::{AdaptiveShed, AdaptiveShedHandle},
    downstream::{CallContext, Downstream, DownstreamHandle},
    error::InvalidLoadShed,
    exempt::except_paths,
    handle::LoadShedHandle,
    layer::LoadShedLayer,
    load_shed::LoadShed,
    signal::{BoxedSignal, Depth, DepthGuard, QueueDelay, WorstOf},
    throttle::{AdaptiveThrottle, AdaptiveThrottleHandle, ThrottlePermit},
};
