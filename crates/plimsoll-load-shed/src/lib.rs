//! Sheds load, least important first, for Tower services behind a [`plimsoll_core::Gate`].
//!
//! | to | take |
//! |---|---|
//! | keep a service at its line, whatever is offered | [`AdaptiveShed`]: finds what it can do, and sheds the rest by priority |
//! | shed at loads that you state | [`LoadShed`]: a ramp from one load to another |
//! | spare another service what it would refuse | [`AdaptiveThrottle`]: by how much of late was accepted |
//! | pass priority and deadline on, and shed before sending | [`Downstream`]: the one layer of a client |
//!
//! Both kinds of shedding read a [`LoadSignal`](plimsoll_core::LoadSignal), which is 1 at an objective that you state:
//!
//! | signal | sees | is blind to |
//! |---|---|---|
//! | [`QueueDelay`]: the first to take | requests that wait for their turn | work that is not queued where it looks |
//! | a concurrency limit's handle | requests in flight and waiting, at once | what each of them costs |
//! | [`Depth`] | a queue between tasks, at once | how long its entries take |
//! | [`ExecutorDelay`] (feature `executor-delay`) | handlers that compute or block | everything that waits |
//! | [`SystemLoad`] (Linux) | processors, memory and the pressure on them | locks, pools, dependencies; the last second |
//! | a closure | what you know | |
//!
//! [`Worst`](plimsoll_core::Worst) joins two of them and [`WorstOf`] any number. A signal that is broken, or does not know, reads as 0 and
//! sheds nothing.
//!
//! ```
//! use plimsoll_core::{ByHeader, ClientIp, Deadlines, GateLayer, When};
//! use plimsoll_load_shed::{AdaptiveShed, QueueDelay, except_paths};
//! # type Body = String;
//! # fn serve<P: plimsoll_core::Policy<http::Request<Body>>>(_: GateLayer<P>) {}
//!
//! # let concurrency = ();
//! // Requests may wait one and a half times as long as they run for the concurrency limit behind.
//! let delay = QueueDelay::relative();
//! let shed = AdaptiveShed::new(delay.clone());
//! let handle = shed.handle();
//! // Whose it is and until when; the delay; and the shedding, which health checks are spared.
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
//!
//! None is on by default. `executor-delay`: [`ExecutorDelay`], which spawns a task. `call-scope`: [`CallScopeLayer`], so that calls
//! find the priority of the request that they are made for.
//!
//! How much is shed at which load, and of what, is told at [`LoadShed`] and [`AdaptiveShed`];
//! [docs/shedding.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/shedding.md) puts it together.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod adaptive;
mod downstream;
mod error;
mod exempt;
mod handle;
mod hints;
mod layer;
mod ledger;
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
    downstream::{CallContext, Downstream, DownstreamHandle, DownstreamPermit},
    error::InvalidLoadShed,
    exempt::except_paths,
    handle::LoadShedHandle,
    layer::LoadShedLayer,
    load_shed::LoadShed,
    signal::{BoxedSignal, Depth, DepthGuard, QueueDelay, WorstOf},
    throttle::{AdaptiveThrottle, AdaptiveThrottleHandle, ThrottlePermit},
};
