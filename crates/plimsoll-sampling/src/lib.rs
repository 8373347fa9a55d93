//! Load-adaptive sampling for Tower services: the more load, the less is kept.
//!
//! Recording, tracing and analytics are the first things to do less of when a service nears its line. This layer ties
//! them to the same [`LoadSignal`](plimsoll_core::LoadSignal) that sheds requests: up to a threshold everything is
//! kept, from there on the rate falls linearly, and each kept request knows how many it stands for.
//!
//! # Example
//!
//! ```
//! use plimsoll_core::{GateLayer, HeaderKey};
//! use plimsoll_sampling::{Rates, Sampled, Sampling};
//! # let (concurrency, load) = ((), || 0.9);
//!
//! // Whole traces or nothing: requests of one trace share a fate, here and downstream.
//! let rates = Rates { base: 1.0, min: 0.05, threshold: 0.7 };
//! let sampling = Sampling::new(load, rates)?.by_key(HeaderKey::from_static("traceparent"));
//! let handle = sampling.handle();
//! let layer = GateLayer::new((concurrency, sampling));
//! # let _: GateLayer<((), Sampling<_, _>)> = layer;
//!
//! async fn handler(req: http::Request<()>) {
//!     let sampled = Sampled::of(&req);
//!     if sampled.keep {
//!         record(sampled.weight());
//!     }
//! }
//! # fn record(_: f64) {}
//!
//! // An operator turns the sampling up, live:
//! handle.set_rates(Rates { min: 0.01, ..rates })?;
//! # Ok::<_, plimsoll_sampling::InvalidRates>(())
//! ```
//!
//! # Choosing values
//!
//! `threshold` is where recording should begin to give way: below the load at which requests are shed. `min` bounds
//! the error of counts; see [`Sampled::weight`]. Sampling bounds the share that is kept, not the volume: at ten times
//! the line it still keeps `min` of ten times the traffic.
//!
//! # Errors and panics
//!
//! [`InvalidRates`], at construction or when the rates are changed. Nothing here panics.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod draw;
mod handle;
mod layer;
mod mark;
mod mode;
mod rate;
mod sampling;

pub use self::{
    draw::{ByKey, Draw, Random},
    handle::SamplingHandle,
    layer::SamplingLayer,
    mark::Sampled,
    mode::{Mark, Mode, Refuse, RefuseAndMark},
    rate::{InvalidRates, Rates},
    sampling::{Sampling, SamplingPermit},
};
