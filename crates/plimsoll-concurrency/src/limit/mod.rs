//! The limit: slots, the requests that hold them, and what can be set.

mod average;
mod change;
mod concurrency;
mod error;
mod handle;
mod lanes;
mod layer;
mod load;
#[cfg(all(test, loom))]
mod models;
mod policy;
mod settings;
mod slots;
pub(crate) mod stalls;
mod state;
mod value;
mod wait;

pub use self::{
    change::LimitChange, concurrency::ConcurrencyLimit, error::InvalidConcurrencyLimit,
    handle::ConcurrencyLimitHandle, layer::ConcurrencyLimitLayer, policy::ConcurrencyLimitPermit,
    wait::ConcurrencyLimitWait,
};
