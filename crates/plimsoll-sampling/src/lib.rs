//! Load-adaptive sampling for Tower services: the share of requests that is kept falls as the load
//! rises.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::sampling`.
//!
//! Recording, tracing and analytics should be reduced first when a service nears its capacity. This
//! layer ties them to the [`LoadSignal`](plimsoll_core::LoadSignal) that also sheds requests: up to
//! a threshold everything is kept, above it the rate falls linearly, and each kept request has a
//! weight, the number of requests it represents.
//!
//! # Example
//!
//! ```
//! use plimsoll_sampling::{Rates, Sampled, Sampling, TraceId};
//! # use http::{Request, Response};
//! # use http_body_util::Full;
//! # use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering::SeqCst}};
//! # use tower::{Layer, ServiceExt, service_fn};
//! # static RECORDED: AtomicU32 = AtomicU32::new(0);
//! # fn record(weight: f64) {
//! #     assert!([2.0, 100.0].contains(&weight), "one over the rate");
//! #     RECORDED.fetch_add(1, SeqCst);
//! # }
//! # type Answer = Result<Response<Full<bytes::Bytes>>, Infallible>;
//! # fn answer() -> Answer { Ok(Response::new(Full::default())) }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let load = || 1.0;
//!
//! // Everything up to a load of 0.7, then a falling share: half at a load of 1.
//! let rates = Rates { base: 1.0, min: 0.5, threshold: 0.7 };
//! // The requests of one trace are kept or left out together, here and downstream.
//! let sampling = Sampling::new(load, rates)?.by_key(TraceId);
//! let handle = sampling.handle();
//! let layer = sampling.into_layer();
//!
//! async fn handler(req: Request<()>) -> Answer {
//!     let sampled = Sampled::of(&req);
//!     if sampled.keep {
//!         record(sampled.weight());
//!     }
//!     # answer()
//! }
//! let service = layer.layer(service_fn(handler));
//! # let send = async |trace: u128, parent: u64| {
//! #     let header = format!("00-{trace:032x}-{parent:016x}-01");
//! #     let req = Request::builder().header("traceparent", header).body(()).unwrap();
//! #     service.clone().oneshot(req).await
//! # };
//! # for trace in 1..=1_000 {
//! #     let before = RECORDED.load(SeqCst);
//! #     for parent in 1..=4 { send(trace, parent).await?; }
//! #     assert!([0, 4].contains(&(RECORDED.load(SeqCst) - before)), "a trace was split");
//! # }
//! # assert_eq!(u64::from(RECORDED.load(SeqCst)), handle.kept());
//! # assert!((1_700..2_300).contains(&handle.kept()), "{} of 4,000", handle.kept());
//!
//! // An operator lowers the rate at run time:
//! handle.set_rates(Rates { min: 0.01, ..rates })?;
//! # let before = handle.kept();
//! # for trace in 1..=1_000 { send(trace, 1).await?; }
//! # assert!(handle.kept() - before < 40, "{} of 1,000", handle.kept() - before);
//! # Ok(()) }
//! ```
//!
//! A tuple of policies in one [`GateLayer`](plimsoll_core::GateLayer) is faster than a layer for
//! each: `GateLayer::new((concurrency, sampling))`.
//!
//! Sample traces by [`TraceId`] and not by the `traceparent` header as a whole: its parent id
//! differs from hop to hop.
//!
//! # Choosing values
//!
//! - `threshold`: where recording should begin to fall: below the load at which requests are shed.
//! - `min`: bounds the error of counts; see [`Sampled::weight`].
//!
//! Sampling bounds the share that is kept, not the volume: at ten times the capacity it still keeps
//! `min` of ten times the traffic.
//!
//! # Errors and panics
//!
//! [`InvalidRates`], at construction or when the rates are changed. Nothing in this crate panics.
//!
//! # Recipes
//!
//! [Recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md) are
//! programs to copy, one for each problem.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod draw;
mod figures;
mod handle;
mod hints;
mod layer;
mod mark;
mod mode;
mod sampling;

pub use self::{
    draw::{ByKey, Draw, Random},
    handle::SamplingHandle,
    layer::SamplingLayer,
    mark::Sampled,
    mode::{Mark, Mode, Reject, RejectAndMark},
    sampling::{Sampling, SamplingPermit},
};
pub use plimsoll_core::TraceId;
#[doc(inline)]
pub use plimsoll_core::{InvalidRates, Rates};
