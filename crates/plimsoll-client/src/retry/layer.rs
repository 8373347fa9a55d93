//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::{Retry, RetryHandle, handle::Shared};

/// Retries calls that failed, as far as it is safe and the [budget](crate::RetryBudget) allows.
///
/// # Shared state and cloning
///
/// All services of one layer, and their clones, share the budget and the counters. Make one layer
/// for each callee, or give the layers of several callees one budget.
#[derive(Debug, Clone)]
pub struct RetryLayer(pub(super) Arc<Shared>);

impl RetryLayer {
    /// Returns a handle that reads the counters.
    pub fn handle(&self) -> RetryHandle {
        RetryHandle(Arc::clone(&self.0))
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, Arc::clone(&self.0))
    }
}
