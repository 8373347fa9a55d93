//! Hedges as a Tower layer: a second attempt when the first one is late.

mod figures;
mod future;
mod handle;
mod latency;
mod layer;
mod service;
mod settings;
mod shared;

pub use self::{
    future::HedgeFuture, handle::HedgeHandle, layer::HedgeLayer, service::Hedge,
    settings::HedgeBuilder,
};
