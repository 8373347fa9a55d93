//! Hedges as a Tower layer: a second attempt when the first one is late.

mod future;
mod latency;
mod layer;
mod service;
mod settings;

pub use self::{
    future::HedgeFuture,
    layer::{HedgeHandle, HedgeLayer},
    service::Hedge,
    settings::HedgeBuilder,
};
