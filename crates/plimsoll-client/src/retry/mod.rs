//! Retries as a Tower layer.

mod decide;
mod fastest;
mod figures;
mod future;
mod handle;
mod later;
mod layer;
mod plan;
mod reading;
mod rules;
mod service;
mod settings;
mod stated;

pub use self::{
    future::RetryFuture, handle::RetryHandle, layer::RetryLayer, service::Retry,
    settings::RetryBuilder,
};
