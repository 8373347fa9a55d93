//! The limit: its slots, the permits that hold them, its settings and its handle.

mod average;
mod builder;
mod change;
mod concurrency;
mod entrances;
mod error;
mod figures;
mod handle;
mod layer;
mod limit_text;
mod load;
#[cfg(all(test, loom))]
mod models;
mod policy;
mod queue_setters;
mod rejection_setters;
mod settings;
mod slot_cache;
mod slots;
pub(crate) mod stalls;
mod state;
mod value;
mod wait;

pub use self::{
    builder::ConcurrencyLimitBuilder,
    change::LimitChange,
    concurrency::ConcurrencyLimit,
    error::InvalidConcurrencyLimit,
    handle::ConcurrencyLimitHandle,
    layer::ConcurrencyLimitLayer,
    limit_text::{Limit, ParseLimitError},
    policy::ConcurrencyLimitPermit,
    wait::ConcurrencyLimitWait,
};

/// The policy's name in rejections.
const NAME: &str = "concurrency";
