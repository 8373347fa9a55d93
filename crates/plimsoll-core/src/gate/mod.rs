//! The one service of the family: policies in front, the inner service behind.

mod future;
mod held;
mod layer;
#[cfg(feature = "load")]
mod load;
mod service;

pub use self::{
    future::GateFuture,
    held::{Held, Hold},
    layer::{GateBuilder, GateLayer},
    service::Gate,
};

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Observe;

/// What a layer, its services, and every permit in flight share.
#[derive(Debug)]
pub(crate) struct Shared<P, T> {
    pub(crate) policy: P,
    pub(crate) protocol: T,
    pub(crate) observer: Observer,
}

/// The observer, if there is one.
pub(crate) struct Observer(pub(crate) Option<Box<dyn Observe>>);

impl Observer {
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Law 10: an observer that panics loses its own event and nothing else.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce(&dyn Observe)) {
        if let Some(observer) = &self.0 {
            _ = catch_unwind(AssertUnwindSafe(|| event(&**observer)));
        }
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
